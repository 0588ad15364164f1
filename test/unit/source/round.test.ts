import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { EpochTracker } from "../../../src/memory/tracker.js";
import { FIRST_EPOCH } from "../../../src/memory/words.js";
import { MAX_DATA_PAGES } from "../../../src/protocol/limits.js";
import { PURPOSE } from "../../../src/protocol/pages.js";
import { DirtySet } from "../../../src/source/dirty-set.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import type { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { Round } from "../../../src/source/round.js";

/** Three chunks. */
const PAGE_COUNT = 3 * MAX_DATA_PAGES;
const MARK = FIRST_EPOCH + 5;

/**
 * A round over `planned`, marked in epoch `MARK`, of a guest whose pages were written long before. `written` says which
 * pages the guest writes, in which epoch, before the round takes its first page; `during` which it writes when a page is sent.
 */
async function round(
  planned: readonly number[],
  {
    written = new Map<number, number>(),
    during = new Map<number, number>(),
    resend = [] as readonly number[],
    skipSince = MARK,
  } = {},
) {
  const ram = GuestRam.allocate(PAGE_COUNT * PAGE_BYTES, 1);
  ram.stamps.fill(FIRST_EPOCH);
  const tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  const pages = PageBitmap.empty(PAGE_COUNT);
  for (const page of planned) pages.add(page);
  const tracker = new EpochTracker(ram, tables.handle.marks);
  // The round before had marked all of them.
  const all = PageBitmap.empty(PAGE_COUNT);
  all.addAll();
  tracker.markPages(all, MARK);
  tables.planned.assign(pages);
  for (const page of resend) tables.resend.claim(page);
  for (const [page, epoch] of written) ram.stamps[page] = epoch;
  const sent: number[] = [];
  const barriers: number[] = [];
  let frames = 0;
  const sender = {
    ready: () => Promise.resolve(),
    hasRoom: true,
    dataPages: 0,
    add(page: number, mayBeUnchanged: boolean) {
      assert.equal(mayBeUnchanged, false);
      sent.push(page);
      this.dataPages += 1;
      const next = during.get(page);
      if (next !== undefined) ram.stamps[next] = MARK;
    },
    flush(purpose: number, pass: number) {
      assert.deepEqual([purpose, pass], [PURPOSE.PASS, 2]);
      if (this.dataPages > 0) frames += 1;
      this.dataPages = 0;
      return 0;
    },
    barrier: (pass: number) => barriers.push(pass),
  };
  const limit = new RateLimit(tables.handle.limiter, undefined, 1, { nowMs: () => 0 });
  const command = { type: "round", pass: 2, skipSince } as const;
  await new Round(command, ram, tables, sender as unknown as PageSender, limit).run();
  assert.deepEqual(barriers, [2], "a round ends with one barrier");
  const dirty = [...new DirtySet(ram, tables).collect().pages()];
  const torn = planned.filter((page) => tables.resend.has(page));
  const count = (name: "pagesPassed" | "skippedPages") => tables.counters.read(name);
  return {
    sent,
    frames,
    dirty,
    torn,
    passed: count("pagesPassed"),
    skipped: count("skippedPages"),
  };
}

test("a round sends the planned pages and no other, in order", async () => {
  const planned = [0, 7, MAX_DATA_PAGES, PAGE_COUNT - 1];
  const { sent, dirty, passed, skipped } = await round(planned);
  assert.deepEqual([sent, dirty], [planned, []]);
  assert.deepEqual([passed, skipped], [4, 0]);
});

test("a round skips a page that was written since its mark, counts it, and leaves it dirty", async () => {
  const written = new Map([
    [6, MARK - 1],
    [7, MARK],
    [8, MARK + 1],
    // Not planned: dirty, but no page that this round skipped.
    [100, MARK],
  ]);
  const { sent, dirty, passed, skipped } = await round([5, 6, 7, 8, 9], { written });
  assert.deepEqual(sent, [5, 6, 9]);
  assert.deepEqual(dirty, [7, 8, 100]);
  assert.deepEqual([passed, skipped], [5, 2]);
});

test("a round looks at a page's stamp when its turn comes", async () => {
  // Page 5 writes to 9, which is still to come, and page 9's neighbour writes to 5, which has gone.
  const during = new Map([
    [5, 9],
    [10, 5],
  ]);
  const { sent, dirty, skipped } = await round([5, 9, 10], { during });
  assert.deepEqual(sent, [5, 10]);
  assert.deepEqual(dirty, [5, 9]);
  assert.equal(skipped, 1);
});

test("a round of a guest that stands still skips no page", async () => {
  const written = new Map([[7, MARK]]);
  const { sent, skipped } = await round([6, 7], { written, skipSince: Infinity });
  assert.deepEqual([sent, skipped], [[6, 7], 0]);
});

test("a round clears the word that a page came torn when it sends it, and keeps it when it skips it", async () => {
  const written = new Map([[7, MARK]]);
  const { sent, dirty, torn } = await round([6, 7], { written, resend: [6, 7, 8] });
  assert.deepEqual([sent, torn], [[6], [7]]);
  assert.deepEqual(dirty, [7, 8]);
});

test("a round fills its frames from as many chunks as it takes", async () => {
  const planned = [1, MAX_DATA_PAGES + 1, 2 * MAX_DATA_PAGES + 1];
  assert.equal((await round(planned)).frames, 1);
  const everything = Array.from({ length: PAGE_COUNT }, (_, page) => page);
  assert.equal((await round(everything)).frames, 3);
});
