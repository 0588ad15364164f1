import assert from "node:assert/strict";
import { on } from "node:events";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import {
  allOrNone,
  dropSpares,
  keepSpares,
  startThread,
} from "../../../src/platform/spare-threads.js";

/** Sends back its seat, and each message. */
const ECHO = new URL("echo-worker.js", import.meta.url);
/** Answers its seat and each message with the steps of its rehearsal until then, which never ends by itself; see there. */
const REHEARSING = new URL("rehearsing-worker.js", import.meta.url);
/** Its rehearsal throws. */
const FAILING = new URL("failing-rehearsal-worker.js", import.meta.url);

async function answers(worker: Worker, count: number): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const [answer] of on(worker, "message")) {
    all.push(answer);
    if (all.length === count) break;
  }
  return all;
}

/** Resolves when a spare says something on the channel of that name. */
async function word(name: string): Promise<void> {
  const told = new BroadcastChannel(name);
  await new Promise<unknown>((resolve) => {
    told.onmessage = resolve;
  });
  told.close();
}

test("a thread gets its seat, and every message that was posted right behind it", async () => {
  for (const spares of [0, 1]) {
    keepSpares(ECHO, spares);
    const worker = startThread(ECHO, { name: "seat" });
    worker.postMessage("first");
    worker.postMessage("second");
    assert.deepEqual(await answers(worker, 3), [{ name: "seat" }, "first", "second"]);
    await worker.terminate();
  }
});

test("a spare thread is taken once, and not more are kept than asked for", async () => {
  keepSpares(ECHO, 2);
  keepSpares(ECHO, 2);
  const workers = [1, 2, 3].map((seat) => startThread(ECHO, { seat }));
  const ids = workers.map(({ threadId }) => threadId);
  assert.equal(new Set(ids).size, 3);
  // The third was started for its seat.
  assert.ok(Math.max(...ids) === ids[2]);
  const seats = await Promise.all(workers.map((worker) => answers(worker, 1)));
  assert.deepEqual(seats, [[{ seat: 1 }], [{ seat: 2 }], [{ seat: 3 }]]);
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test("dropped spares are not handed out, and those that were taken run on", async () => {
  keepSpares(ECHO, 2);
  const taken = startThread(ECHO, { seat: "before" });
  // An answer is only heard by who listens already, so both are listened for at once.
  const before = answers(taken, 1);
  await dropSpares(ECHO);
  const fresh = startThread(ECHO, { seat: "after" });
  const after = answers(fresh, 1);
  assert.deepEqual(await before, [{ seat: "before" }]);
  assert.deepEqual(await after, [{ seat: "after" }]);
  await Promise.all([taken.terminate(), fresh.terminate()]);
});

test("of threads that are started together none is left when one of them cannot be", () => {
  const ended: number[] = [];
  const thread = (id: number) => () => {
    if (id === 3) throw new Error("no more");
    return { id, terminate: () => Promise.resolve(ended.push(id)) };
  };
  assert.throws(() => allOrNone([1, 2, 3, 4].map(thread)), /no more/);
  assert.deepEqual(ended, [1, 2]);
  assert.deepEqual(
    allOrNone([4, 5].map(thread)).map(({ id }) => id),
    [4, 5],
  );
  assert.deepEqual(ended, [1, 2]);
});

test("a spare rehearses until it gets its seat, and no other thread does", async (t) => {
  const hasRehearsed = word("rehearsing-worker");
  keepSpares(REHEARSING, 1);
  await hasRehearsed;
  for (const isSpare of [true, false]) {
    const worker = startThread(REHEARSING, {});
    t.after(() => worker.terminate());
    const [before] = await answers(worker, 1);
    assert.equal(Number(before) >= 3, isSpare);
    if (!isSpare) assert.equal(before, 0);
    const later: unknown[] = [];
    for (let asked = 0; asked < 10; asked += 1) {
      worker.postMessage("how many by now?");
      later.push(...(await answers(worker, 1)));
    }
    assert.deepEqual(later, Array(10).fill(before));
  }
});

test("a spare whose rehearsal went wrong takes its seat as any other", async (t) => {
  const wentWrong = word("failing-rehearsal-worker");
  keepSpares(FAILING, 1);
  await wentWrong;
  for (const steps of [1, 0]) {
    const worker = startThread(FAILING, {});
    t.after(() => worker.terminate());
    // The second is no spare.
    assert.deepEqual(await answers(worker, 1), [steps]);
  }
});
