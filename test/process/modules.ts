import { freshFile } from "./daemon.js";

/** Writes a guest module with these members of its program and returns the module's path. */
export function guestModule(members: string): string {
  const program = `{ name: "module", summary: "a test's own", settings: {}, ${members} }`;
  return freshFile("guest.mjs", `export default ${program};\n`);
}

/**
 * vCPU 0 only counts; the others write all over memory. So on a destination that lacks pages the guest as a
 * whole makes progress, if it runs.
 */
export function halfIdle(): string {
  return guestModule(`
    boot(memory, options, vcpuCount) {
      for (let at = 0; at < memory.byteLength; at += 64) memory.store32(at, at);
      return Array.from({ length: vcpuCount }, (_, vcpu) => ({ vcpu, vcpuCount, done: 0 }));
    },
    step(memory, cpu, operations) {
      for (let left = operations; left > 0; left -= 1) {
        if (cpu.vcpu > 0) {
          const page = (cpu.done * cpu.vcpuCount + cpu.vcpu) % (memory.byteLength / 4096);
          memory.store32(page * 4096, cpu.done);
        }
        cpu.done += 1;
      }
      return operations;
    },
    operationsPerSecond: () => 20000`);
}
