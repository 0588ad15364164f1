import assert from "node:assert/strict";
import { test } from "node:test";
import { Guest, type GuestSpec } from "../../../src/guest/guest.js";
import { identify, replay } from "../../../src/guest/identity.js";
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

async function running(): Promise<Guest> {
  const ram = GuestRam.allocate(SPEC.ramBytes, SPEC.vcpuCount);
  const guest = await Guest.create(SPEC, ram, (failure) => {
    assert.fail(failure.code);
  });
  await guest.start(await guest.boot());
  return guest;
}

test("Guest pauses however soon it was resumed, and does not advance while it is paused", async () => {
  const guest = await running();
  try {
    let before = 0;
    for (let round = 0; round < 50; round += 1) {
      const { operations } = await guest.pause();
      const total = operations.reduce((sum, count) => sum + count, 0);
      assert.ok(total >= before);
      assert.equal(guest.operations(), total);
      before = total;
      guest.resume();
    }
  } finally {
    await guest.dispose();
  }
});

test("Guest is the guest that was never paused", async () => {
  const guest = await running();
  try {
    await guest.pause();
    guest.resume();
    const states = await guest.pause();
    assert.deepEqual(await identify(guest.ram, states), await replay(SPEC, states.operations));
  } finally {
    await guest.dispose();
  }
});
