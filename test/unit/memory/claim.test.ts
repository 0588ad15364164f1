import assert from "node:assert/strict";
import { test } from "node:test";
import { AtomicPageBitmap } from "../../../src/memory/bitmap.js";
import type { ClaimReport, ClaimSeat } from "./claim-worker.js";
import { reportOf, startThread } from "./threads.js";

const THREADS = 4;
const PAGES = 200_000;

test("AtomicPageBitmap tells exactly one of several threads that a page is its own", async (t) => {
  const { bitmap, buffer } = AtomicPageBitmap.create(PAGES);
  const line = new SharedArrayBuffer(4);
  const seat: ClaimSeat = { bitmap: buffer, pageCount: PAGES, threads: THREADS, line };
  const threads = Array.from({ length: THREADS }, () => startThread(t, "claim-worker.js", seat));
  const reports = await Promise.all(threads.map((thread) => reportOf<ClaimReport>(thread)));
  const every = Array.from({ length: PAGES }, (_, page) => page);
  for (const deed of ["claimed", "taken"] as const) {
    const owners = reports.flatMap((report) => report[deed]);
    assert.deepEqual(
      owners.sort((a, b) => a - b),
      every,
      `every page is ${deed} once`,
    );
  }
  assert.equal(bitmap.count(), 0);
});
