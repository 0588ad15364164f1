import assert from "node:assert/strict";
import { type GuestIdentity, replay } from "../../src/guest/identity.js";
import type { GuestDigest } from "../../src/host/events.js";
import type { Daemon } from "./daemon.js";

/** The identity that this guest would have after as many operations if it had never moved. */
function unmoved(digest: GuestDigest): Promise<GuestIdentity> {
  const { guestId, guest, program, options, memoryBytes, operations } = digest;
  const spec = { guestId, name: guest, program, programSha256: null, options };
  const vcpuCount = operations.length;
  return replay({ ...spec, ramBytes: memoryBytes, vcpuCount }, operations);
}

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
  const { memorySha256, cpus } = await unmoved(digest);
  assert.deepEqual(digest.cpus, cpus, "its CPU states are not those of a guest that never moved");
  assert.equal(digest.memorySha256, memorySha256, "its memory is not that of one that never moved");
  atLeast.forEach((operations, vcpu) => {
    const now = digest.operations[vcpu] ?? 0;
    assert.ok(now >= operations, `vCPU ${String(vcpu)} went back from ${String(operations)}`);
  });
  return digest;
}
