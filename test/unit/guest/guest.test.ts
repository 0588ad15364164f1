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

/** Operations per second over the next `count` operations. */
async function rateOver(guest: Guest, count: number): Promise<number> {
  const startMs = performance.now();
  const end = guest.operations() + count;
  while (guest.operations() < end) await new Promise((resolve) => setImmediate(resolve));
  return (count * 1000) / (performance.now() - startMs);
}

test("Guest runs slower while it is throttled, and as fast as before afterwards", async () => {
  const guest = await running();
  try {
    await rateOver(guest, 1_000_000); // Compiled by then.
    const before = await rateOver(guest, 1_000_000);
    guest.throttle(90);
    const during = await rateOver(guest, 300_000);
    guest.throttle(0);
    const after = await rateOver(guest, 1_000_000);
    const told = [before, during, after].map(Math.round).join(", ");
    assert.ok(during < before / 3, told);
    assert.ok(after > before / 2, told);
  } finally {
    await guest.dispose();
  }
});

test("Guest that is throttled pauses at once, and owes no sleep that it was woken from", async () => {
  const guest = await running();
  try {
    guest.throttle(99);
    await rateOver(guest, 1000);
    const { operations } = await guest.pause();
    guest.throttle(0);
    assert.ok(operations.every((count) => count > 0));
    guest.resume();
    await rateOver(guest, 1_000_000);
  } finally {
    await guest.dispose();
  }
});

test("Guest cannot be throttled by all of its time, by less than none, or by half a percent", async () => {
  const guest = await running();
  try {
    for (const percent of [-1, 0.5, 100, Number.NaN]) {
      assert.throws(() => {
        guest.throttle(percent);
      }, RangeError);
    }
  } finally {
    await guest.dispose();
  }
});
