import type { MessagePort } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import { takeSeat } from "../platform/spare-threads.js";
import { nameThread } from "../platform/thread-name.js";
import { loadProgram } from "./load-program.js";
import { BadSetting } from "./program.js";
import { rehearse } from "./rehearsal.js";
import { Vcpu } from "./vcpu.js";
import type { VcpuCommand, VcpuReport, VcpuSeat } from "./vcpu-contract.js";

/** Entry of a vCPU's thread: see vcpu-contract.ts. */
rehearse();
takeSeat((given, host) => {
  const seat = given as VcpuSeat;
  nameThread(`vcpu-${String(seat.vcpu)}`);
  void sit(seat, host);
});

async function sit(seat: VcpuSeat, host: MessagePort): Promise<void> {
  const report = (message: VcpuReport) => {
    host.postMessage(message);
  };
  const fail = (error: unknown, guest: string, during: "boot" | "step") => {
    report({ type: "failed", failure: guestFailure(error, guest, during) });
  };
  try {
    const { program } = await loadProgram(seat.program, seat.programSha256);
    const vcpu = new Vcpu(seat, program, report);
    host.on("message", (command: VcpuCommand) => {
      try {
        if (command.type === "boot") report({ type: "booted", cpus: vcpu.boot() });
        else vcpu.run(command.cpu, command.operations);
      } catch (error) {
        fail(error, program.name, command.type === "boot" ? "boot" : "step");
      }
    });
    report({ type: "ready" });
  } catch (error) {
    fail(error, seat.program, "boot");
  }
}

function guestFailure(error: unknown, guest: string, during: "boot" | "step"): Failure {
  if (error instanceof MigrationError) return error.failure;
  if (error instanceof BadSetting) return { code: "GUEST_SETTING", guest, text: error.message };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "GUEST_THREW", guest, during, text };
}
