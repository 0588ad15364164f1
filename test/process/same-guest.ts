import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { loadProgram } from "../../src/guest/load-program.js";
import type { GuestProgram } from "../../src/guest/program.js";
import { RawMemory } from "../../src/memory/raw-memory.js";
import type { GuestDigest } from "../../src/host/events.js";
import type { Daemon } from "./daemon.js";

/** Long enough to be quick, short enough that whatever else the test does goes on. */
const STEP_OPERATIONS = 100_000;

/** A guest as it is when it never moves, run from birth in plain memory as `replay` (identity.ts) does, and on from there. */
class Twin {
  private readonly done: number[];

  private constructor(
    readonly guestId: string,
    private readonly program: GuestProgram,
    private readonly buffer: SharedArrayBuffer,
    private readonly memory: RawMemory,
    private readonly cpus: readonly object[],
  ) {
    this.done = cpus.map(() => 0);
  }

  static async of({ guestId, program: source, options, memoryBytes, operations }: GuestDigest) {
    const { program } = await loadProgram(source);
    const buffer = new SharedArrayBuffer(memoryBytes);
    const memory = new RawMemory(buffer);
    const cpus = program.boot(memory, options, operations.length);
    return new Twin(guestId, program, buffer, memory, cpus);
  }

  /** Whether it can still come to so many operations of each vCPU. */
  isBefore(operations: readonly number[]): boolean {
    return this.done.every((done, vcpu) => done <= (operations[vcpu] ?? 0));
  }

  async runTo(operations: readonly number[]): Promise<void> {
    for (const [vcpu, cpu] of this.cpus.entries()) {
      for (;;) {
        const left = (operations[vcpu] ?? 0) - this.done[vcpu]!;
        if (left <= 0) break;
        this.done[vcpu]! += this.program.step(this.memory, cpu, Math.min(left, STEP_OPERATIONS));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  get memorySha256(): string {
    return createHash("sha256").update(new Uint8Array(this.buffer)).digest("hex");
  }

  get states(): unknown {
    return JSON.parse(JSON.stringify(this.cpus)) as unknown;
  }
}

/** Of the guest that was looked at last: a test looks at one again and again, and need not begin at its birth each time. */
let twin: Twin | undefined;

/**
 * The digest of the one guest on `daemon`, once it is sure that the guest is, byte for byte, the one that
 * was never migrated: no operation was lost or done twice, no page is old. `atLeast` are operations of each vCPU
 * that were seen earlier.
 */
export async function assertUnmoved(
  daemon: Daemon,
  atLeast: readonly number[] = [],
): Promise<GuestDigest> {
  const digest = await daemon.digest();
  const { guestId, operations } = digest;
  atLeast.forEach((seen, vcpu) => {
    const now = operations[vcpu] ?? 0;
    assert.ok(now >= seen, `vCPU ${String(vcpu)} went back from ${String(seen)}`);
  });
  if (twin?.guestId !== guestId || !twin.isBefore(operations)) twin = await Twin.of(digest);
  await twin.runTo(operations);
  const states = digest.cpus.map((state) => JSON.parse(state) as unknown);
  assert.deepEqual(states, twin.states, "its CPU states are not those of a guest that never moved");
  const { memorySha256 } = twin;
  assert.equal(digest.memorySha256, memorySha256, "its memory is not that of one that never moved");
  return digest;
}
