import { createHash } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { MigrationError } from "../failure.js";
import { RawMemory } from "../memory/raw-memory.js";
import type { GuestSpec } from "./guest.js";
import type { GuestIdentity, IdentityTask } from "./identity.js";
import { nameThread } from "../platform/thread-name.js";
import { loadProgram } from "./load-program.js";

/** Entry of the thread that hashes a guest's memory, so that the main thread never reads it. */

const HASH_PIECE_BYTES = 16 * 2 ** 20;
/** Long steps: nobody waits for a safepoint here. */
const STEP_OPERATIONS = 100_000;

function digest(buffer: SharedArrayBuffer, cpus: readonly object[]): GuestIdentity {
  const hash = createHash("sha256");
  for (let at = 0; at < buffer.byteLength; at += HASH_PIECE_BYTES) {
    hash.update(new Uint8Array(buffer, at, Math.min(HASH_PIECE_BYTES, buffer.byteLength - at)));
  }
  return { memorySha256: hash.digest("hex"), cpus: cpus.map(canonicalJson) };
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

async function replay(spec: GuestSpec, operations: readonly number[]): Promise<GuestIdentity> {
  const { program } = await loadProgram(spec.program);
  const buffer = new SharedArrayBuffer(spec.ramBytes);
  const memory = new RawMemory(buffer);
  const cpus = program.boot(memory, spec.options, spec.vcpuCount);
  cpus.forEach((cpu, vcpu) => {
    let left = operations[vcpu] ?? 0;
    while (left > 0) left -= program.step(memory, cpu, Math.min(left, STEP_OPERATIONS));
  });
  return digest(buffer, cpus);
}

nameThread("identity");
const task = workerData as IdentityTask;
try {
  const identity =
    task.type === "digest"
      ? digest(task.ram.memory.buffer as unknown as SharedArrayBuffer, task.cpus)
      : await replay(task.spec, task.operations);
  parentPort?.postMessage(identity);
} catch (error) {
  if (!(error instanceof MigrationError)) throw error;
  parentPort?.postMessage({ failure: error.failure });
}
