import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Expects, Readiness } from "../../../src/host/readiness.js";
import { startThread } from "../../../src/platform/spare-threads.js";
import { SOURCE_CHANNEL_ENTRY } from "../../../src/source/channel-pool.js";

/** How many of `count` channel threads of a source were started before they were asked for. */
async function waitingAmong(count: number): Promise<number> {
  // Threads are numbered as they start.
  const now = new Worker("", { eval: true });
  const threads = Array.from({ length: count }, () => startThread(SOURCE_CHANNEL_ENTRY, {}));
  const waiting = threads.filter(({ threadId }) => threadId < now.threadId).length;
  await Promise.all([now, ...threads].map((thread) => thread.terminate()));
  return waiting;
}

test("a host has the channels of a departure waiting only while it expects one", async () => {
  const readiness = new Readiness(2);
  const expected: readonly (readonly [what: Expects, waiting: number])[] = [
    ["departure", 3],
    ["arrival", 0],
    ["departure", 3],
    ["nothing", 0],
  ];
  for (const [what, waiting] of expected) {
    readiness.expect(what);
    assert.equal(await waitingAmong(4), waiting, what);
  }
});

test("a host that waits for a guest goes through an arrival, once", async () => {
  let begun = 0;
  const steps = await new Promise<readonly number[]>((over) => {
    const readiness = new Readiness(1, function* () {
      begun += 1;
      const gone = [];
      for (let step = 1; step <= 3; step += 1) {
        gone.push(step);
        yield;
      }
      over(gone);
    });
    for (const what of ["departure", "arrival", "nothing", "arrival", "nothing"] as const) {
      readiness.expect(what);
    }
  });
  assert.deepEqual(steps, [1, 2, 3]);
  assert.equal(begun, 1);
});
