import { createHash } from "node:crypto";
import type { GuestOptions, GuestProgram } from "../../../src/guest/program.js";
import { RawMemory } from "../../../src/memory/raw-memory.js";

export interface Birth {
  readonly ramBytes?: number;
  readonly vcpuCount?: number;
  readonly options?: GuestOptions;
}

/** A guest on plain memory, run by hand. */
export class BootedGuest<Cpu extends object = object> {
  readonly bytes: Uint8Array;
  readonly memory: RawMemory;
  readonly cpus: Cpu[];

  constructor(
    readonly program: GuestProgram<Cpu>,
    { ramBytes = 2 ** 20, vcpuCount = 1, options = {} }: Birth = {},
  ) {
    const buffer = new SharedArrayBuffer(ramBytes);
    this.bytes = new Uint8Array(buffer);
    this.memory = new RawMemory(buffer);
    this.cpus = [...program.boot(this.memory, options, vcpuCount)];
  }

  /** Does exactly `operations` operations on one vCPU, at most `stepSize` a call. */
  run(vcpu: number, operations: number, stepSize = 1000): void {
    for (let left = operations; left > 0;) {
      left -= this.program.step(this.memory, this.cpus[vcpu]!, Math.min(left, stepSize));
    }
  }

  /** Equal for guests that are equal byte for byte. */
  identity(): string {
    const memory = createHash("sha256").update(this.bytes).digest("hex");
    return JSON.stringify({ memory, cpus: this.cpus });
  }

  /** The CPU state of the first vCPU. */
  get cpu(): Cpu {
    return this.cpus[0]!;
  }
}
