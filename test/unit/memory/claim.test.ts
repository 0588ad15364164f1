import assert from "node:assert/strict";
import { test } from "node:test";
import { AtomicPageBitmap } from "../../../src/memory/bitmap.js";
import type { ClaimReport, ClaimSeat } from "./claim-worker.js";
import { reportOf, startThread } from "../../threads.js";

for (const { threads, pageCount, stride } of [
  // Two threads meet often: that is where they collide. Four on few cores only run at the same time.
  { threads: 2, pageCount: 2 ** 15, stride: 8 },
  { threads: 4, pageCount: 2 ** 17, stride: 2 ** 17 },
]) {
  test(`AtomicPageBitmap tells exactly one of ${String(threads)} threads that a page is its own`, async (t) => {
    const { bitmap, buffer } = AtomicPageBitmap.create(pageCount);
    const wanted = AtomicPageBitmap.create(pageCount);
    wanted.bitmap.addRange({ firstPage: 0, pageCount });
    const runs = AtomicPageBitmap.create(pageCount);
    const meetings = new SharedArrayBuffer(4);
    const sets = { bitmap: buffer, wanted: wanted.buffer, runs: runs.buffer };
    const seat: ClaimSeat = { ...sets, pageCount, threads, stride, meetings };
    const workers = Array.from({ length: threads }, () =>
      startThread(t, new URL("claim-worker.js", import.meta.url), seat),
    );
    const reports = await Promise.all(workers.map((worker) => reportOf<ClaimReport>(worker)));
    const every = Array.from({ length: pageCount }, (_, page) => page);
    for (const deed of ["claimed", "taken", "claimedInRuns"] as const) {
      const owners = reports.flatMap((report) => report[deed]);
      assert.deepEqual(
        owners.sort((a, b) => a - b),
        every,
        `every page is ${deed} once`,
      );
    }
    assert.equal(bitmap.count(), 0);
  });
}
