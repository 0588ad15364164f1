import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { guestModule } from "../../process/modules.js";
import { Guest, type GuestSpec } from "../../../src/guest/guest.js";
import { identify, replay } from "../../../src/guest/identity.js";
import type { Failure } from "../../../src/failure.js";
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
      await guest.resume();
    }
  } finally {
    await guest.dispose();
  }
});

test("Guest is the guest that was never paused", async () => {
  const guest = await running();
  try {
    await guest.pause();
    await guest.resume();
    const states = await guest.pause();
    assert.deepEqual(await identify(guest.ram, states), await replay(SPEC, states.operations));
  } finally {
    await guest.dispose();
  }
});

test("Guest says which pages it worked on when it stopped", async () => {
  const spec: GuestSpec = { ...SPEC, program: "builtin:memtester", vcpuCount: 1 };
  const ram = GuestRam.allocate(spec.ramBytes, spec.vcpuCount);
  const guest = await Guest.create(spec, ram, (failure) => {
    assert.fail(failure.code);
  });
  try {
    await guest.start(await guest.boot());
    while (guest.operations() < 1e5) await new Promise(setImmediate);
    const { cpus, touched } = await guest.pause({ watch: true });
    // One word of each half in an operation; the last one lies before the next.
    const { halves, word } = cpus[0] as {
      halves: { first: number; second: number; wordCount: number };
      word: number;
    };
    const last = (word === 0 ? halves.wordCount : word) - 1;
    const pages = [halves.first, halves.second].map((half) => (half + last * 4) >>> 12);
    assert.deepEqual(touched, pages);
    await guest.resume();
    assert.deepEqual((await guest.pause()).touched, [], "nobody asked");
  } finally {
    await guest.dispose();
  }
});

test("Guest keeps pauses and resumptions in the order in which they were asked for", async () => {
  const guest = await running();
  try {
    const [first, , second] = await Promise.all([guest.pause(), guest.resume(), guest.pause()]);
    assert.ok(
      second.pausedMs > first.pausedMs,
      "the second pause found it where the first had left it",
    );
    assert.deepEqual(await guest.pause(), second, "it did not stand still");
    const states = { cpus: second.cpus, operations: second.operations };
    assert.deepEqual(await identify(guest.ram, states), await replay(SPEC, second.operations));
  } finally {
    await guest.dispose();
  }
});

const THREW = {
  ...{ code: "GUEST_THREW", guest: "module", during: "step", text: "Error: no luck" },
} as const;

/** A guest of two vCPUs, whose program is that of a module. */
async function ofModule(members: string, failed: (failure: Failure) => void): Promise<Guest> {
  const program = guestModule(members);
  const programSha256 = createHash("sha256").update(readFileSync(program)).digest("hex");
  const ram = GuestRam.allocate(SPEC.ramBytes, SPEC.vcpuCount);
  return Guest.create({ ...SPEC, program, programSha256 }, ram, failed);
}

/** Resolves with the first failure that `hear` is told. */
function firstFailure(): { hear: (failure: Failure) => void; heard: Promise<Failure> } {
  let hear: (failure: Failure) => void = () => undefined;
  const heard = new Promise<Failure>((resolve) => (hear = resolve));
  return {
    hear: (failure) => {
      hear(failure);
    },
    heard,
  };
}

test("Guest says why it neither starts nor pauses when a vCPU died while it was parked", async () => {
  const { hear, heard } = firstFailure();
  const guest = await ofModule(
    // One of the two: they started one after the other.
    `boot: () => [{}, {}],
     step: (memory, cpu, operations) => operations,
     ...(process.getBuiltinModule("node:worker_threads").threadId % 2 === 1 && {
       ear: Object.assign(new BroadcastChannel("parked"), {
         onmessage() { setImmediate(() => { throw new Error("died in its sleep"); }); },
       }),
     })`,
    hear,
  );
  const voice = new BroadcastChannel("parked");
  try {
    const states = await guest.boot();
    voice.postMessage("die");
    const failure = await heard;
    assert.equal(failure.code, "THREAD_DIED");
    await assert.rejects(guest.start(states), { failure });
    await assert.rejects(guest.pause(), { failure });
  } finally {
    voice.close();
    await guest.dispose();
  }
});

test("Guest rejects a pause when one of its vCPUs threw, and does not wait for it", async () => {
  const { hear, heard } = firstFailure();
  const guest = await ofModule(
    `boot: () => [{ vcpu: 0 }, { vcpu: 1 }],
     step(memory, cpu, operations) {
       if (cpu.vcpu === 1) throw new Error("no luck");
       return operations;
     }`,
    hear,
  );
  try {
    // Either vCPU may come first.
    await guest.start(await guest.boot()).catch(() => undefined);
    assert.deepEqual(await heard, THREW);
    await assert.rejects(guest.pause(), { failure: THREW });
  } finally {
    await guest.dispose();
  }
});

for (const [what, value] of [
  ["nothing", "undefined"],
  ["no number", "NaN"],
  ["less than nothing", "-1"],
  ["a part of an operation", "0.5"],
] as const) {
  test(`Guest ends with GUEST_THREW when its program says that it did ${what}`, async () => {
    const guest = await ofModule(`boot: () => [{}, {}], step: () => ${value}`, () => undefined);
    try {
      const text = `TypeError: step returned ${value}; it must return how many operations it did`;
      await assert.rejects(guest.start(await guest.boot()), { failure: { ...THREW, text } });
    } finally {
      await guest.dispose();
    }
  });
}

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
    await rateOver(guest, 5_000_000); // Compiled by then.
    const before = await rateOver(guest, 5_000_000);
    guest.throttle(90);
    const during = await rateOver(guest, 1_500_000);
    guest.throttle(0);
    const after = await rateOver(guest, 5_000_000);
    const told = [before, during, after].map(Math.round).join(", ");
    assert.ok(during < before / 3, told);
    assert.ok(after > before / 2, told);
  } finally {
    await guest.dispose();
  }
});

/** Nothing wakes it before the time is over. */
const sleeper = (ms: number) => `
  boot: () => [{}, {}],
  step(memory) {
    memory.wait32(0, 0, ${String(ms)});
    return 1;
  }`;

test("Guest has started when its vCPUs sleep in their first operation, however long that takes", async () => {
  const guest = await ofModule(sleeper(3_600_000), (failure) => {
    assert.fail(failure.code);
  });
  try {
    await guest.start(await guest.boot());
    assert.equal(guest.operations(), 0);
    await guest.pause();
    void guest.resume();
    await guest.pause();
  } finally {
    await guest.dispose();
  }
});

test("Guest that sleeps by its own wish owes nothing for that when it is throttled", async () => {
  const guest = await ofModule(sleeper(5), (failure) => {
    assert.fail(failure.code);
  });
  try {
    await guest.start(await guest.boot());
    const before = await rateOver(guest, 100);
    guest.throttle(99);
    // It would owe 495 ms for each operation.
    const during = await rateOver(guest, 20);
    assert.ok(during > before / 10, [before, during].map(Math.round).join(", "));
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
    void guest.resume();
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
