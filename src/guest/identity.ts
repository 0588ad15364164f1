import { Worker } from "node:worker_threads";
import { MigrationError, type Failure } from "../failure.js";
import type { GuestRam, RamHandle } from "../memory/ram.js";
import type { CpuStates, GuestSpec } from "./guest.js";

/** What a guest is at one moment: two guests with equal identities are the same guest. */
export interface GuestIdentity {
  /** SHA-256 of all memory, hexadecimal. */
  readonly memorySha256: string;
  /** CPU state of each vCPU as JSON with sorted keys. */
  readonly cpus: readonly string[];
}

/** What the identity thread is asked for: to look at a paused guest, or to run one that never moves. */
export type IdentityTask =
  | { readonly type: "digest"; readonly ram: RamHandle; readonly cpus: readonly object[] }
  | { readonly type: "replay"; readonly spec: GuestSpec; readonly operations: readonly number[] };

export type IdentityAnswer = GuestIdentity | { readonly failure: Failure };

/** The identity of a guest that stands still. */
export function identify(ram: GuestRam, states: CpuStates): Promise<GuestIdentity> {
  return runThread({ type: "digest", ram: ram.handle, cpus: states.cpus });
}

/**
 * The oracle: the identity that a guest of this spec has after so many operations of each vCPU when it
 * never migrates. Runs it from birth in plain memory, without tracking.
 */
export function replay(spec: GuestSpec, operations: readonly number[]): Promise<GuestIdentity> {
  return runThread({ type: "replay", spec, operations });
}

function runThread(task: IdentityTask): Promise<GuestIdentity> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("identity-thread.js", import.meta.url), { workerData: task });
    worker.once("message", (answer: IdentityAnswer) => {
      if ("failure" in answer) reject(new MigrationError(answer.failure));
      else resolve(answer);
    });
    worker.once("error", reject);
    worker.once("exit", (code) => {
      const cause = `exit code ${String(code)}`;
      reject(new MigrationError({ code: "THREAD_DIED", thread: "identity", cause }));
    });
  });
}
