import assert from "node:assert/strict";
import { test } from "node:test";
import { monotonicClock } from "../../../src/clock.js";
import { Guest, type GuestSpec } from "../../../src/guest/guest.js";
import { replay } from "../../../src/guest/identity.js";
import { ThroughputRecorder } from "../../../src/guest/throughput.js";
import type { GuestState } from "../../../src/host/events.js";
import { Resident } from "../../../src/host/resident.js";
import { GuestRam } from "../../../src/memory/ram.js";

const SPEC: GuestSpec = {
  guestId: "g",
  name: "random-writer",
  program: "builtin:random-writer",
  programSha256: null,
  options: {},
  ramBytes: 2 ** 20,
  vcpuCount: 2,
};

/** A guest that runs, and the end of it. */
async function withResident(work: (resident: Resident) => Promise<void>): Promise<void> {
  const ram = GuestRam.allocate(SPEC.ramBytes, SPEC.vcpuCount);
  const guest = await Guest.create(SPEC, ram, (failure) => {
    assert.fail(failure.code);
  });
  await guest.start(await guest.boot());
  const throughput = new ThroughputRecorder(() => guest.operations(), monotonicClock);
  const nobody = () => undefined;
  const resident = new Resident(guest, throughput, 1, "running", nobody, monotonicClock);
  try {
    await work(resident);
  } finally {
    await resident.dispose();
  }
}

/** Resolves when the guest is seen to advance. */
async function advances(resident: Resident): Promise<void> {
  const before = resident.guest.operations();
  // Whoever pauses it waits for its vCPUs: a guest that runs has advanced by then.
  while (resident.guest.operations() === before) {
    await resident.pause();
    await resident.resume();
  }
}

test("Resident obeys a pause and a resumption that come together, in their order", () =>
  withResident(async (resident) => {
    await Promise.all([resident.pause(), resident.resume()]);
    assert.equal(resident.state, "running");
    await advances(resident);
  }));

test("Resident lets nobody disturb a digest", () =>
  withResident(async (resident) => {
    const [digest, resumed, paused] = await Promise.allSettled([
      resident.digest(),
      resident.resume(),
      resident.pause(),
    ]);
    assert.equal(resumed.status, "rejected", "the guest runs by then");
    assert.equal(paused.status, "fulfilled");
    assert.ok(digest.status === "fulfilled");
    const { operations, memorySha256 } = digest.value;
    assert.equal(memorySha256, (await replay(SPEC, operations)).memorySha256);
    assert.equal(resident.state, "paused");
  }));

test("Resident is paused, and cannot start to leave, while it is digested", () =>
  withResident(async (resident) => {
    const digest = resident.digest();
    await Promise.resolve();
    assert.throws(
      () => {
        resident.require("running");
      },
      { failure: { code: "GUEST_BUSY", guestId: "g", state: "paused" } },
    );
    await digest;
    resident.require("running");
  }));

test("Resident discards a guest that stands still, and no other", () =>
  withResident(async (resident) => {
    await assert.rejects(resident.discard({ force: true }), busy("running"));
    await advances(resident);
    await resident.pause();
    await resident.discard();
    const gone = { failure: { code: "GUEST_NOT_HERE", guestId: "g" } };
    await assert.rejects(resident.resume(), gone);
    await assert.rejects(resident.discard(), gone);
    resident.become("running");
    assert.equal(resident.state, "paused");
  }));

test("Resident does what may lose a guest, or run it twice, only for who vouches for it", () =>
  withResident(async (resident) => {
    for (const state of ["inDoubt", "stranded"] as const) {
      resident.become(state);
      await assert.rejects(resident.resume(), busy(state));
      await assert.rejects(resident.discard(), busy(state));
    }
    await assert.rejects(resident.resume({ inDoubt: true }), busy("stranded"));
    resident.become("inDoubt");
    await resident.resume({ inDoubt: true });
    assert.equal(resident.state, "running");
    resident.become("inDoubt");
    await resident.discard({ force: true });
  }));

function busy(state: GuestState) {
  return { failure: { code: "GUEST_BUSY", guestId: "g", state } };
}
