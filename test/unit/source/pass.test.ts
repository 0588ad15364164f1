import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { GUEST_WORDS, NEVER } from "../../../src/memory/words.js";
import { BLOCK_BYTES } from "../../../src/protocol/deltas.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import type { PageSender } from "../../../src/source/page-sender.js";
import { Pass } from "../../../src/source/pass.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning } from "../../../src/source/tuning.js";

const PAGE_COUNT = 4096;
/** A link so slow that a page takes a millisecond, and the pass four seconds. */
const PAGES_PER_SECOND = 1000;
const START_MS = 100_000;

/** An epoch for each of the last hundred seconds. */
const HISTORY = Array.from({ length: 100 }, (_, second) => ({
  epoch: second + 2,
  atMs: second * 1000,
}));

function epochAgo(seconds: number): number {
  return HISTORY.length + 2 - seconds;
}

/** When page `when` is sent, the guest rewrites all pages: one byte of so many each. */
interface Rewrite {
  readonly when: number;
  readonly everyBytes: number;
}

/**
 * The pages that a pass sends of a guest that wrote each page in the epoch that `stampOf` says. While it goes on, the guest
 * writes to page p when page `writes.get(p)` is sent.
 */
async function pagesSent(
  stampOf: (page: number) => number,
  writes: ReadonlyMap<number, number> = new Map(),
  rewrite: Rewrite = { when: -1, everyBytes: PAGE_BYTES },
): Promise<number[]> {
  const ram = GuestRam.allocate(PAGE_COUNT * PAGE_BYTES, 1);
  ram.words[GUEST_WORDS.EPOCH] = epochAgo(0);
  for (let page = 0; page < PAGE_COUNT; page += 1) ram.stamps[page] = stampOf(page);
  const tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  let nowMs = START_MS;
  const clock = { nowMs: () => nowMs };
  const sent: number[] = [];
  const sender = {
    ready: () => Promise.resolve(),
    hasRoom: true,
    add(page: number) {
      sent.push(page);
      if (ram.stamps[page] !== NEVER) nowMs += 1000 / PAGES_PER_SECOND;
      for (const [written, when] of writes) {
        if (when === page) ram.stamps[written] = ram.words[GUEST_WORDS.EPOCH]!;
      }
      if (page !== rewrite.when) return;
      const bytes = new Uint8Array(ram.buffer);
      for (let at = 0; at < PAGE_COUNT * PAGE_BYTES; at += rewrite.everyBytes) bytes[at]! += 1;
    },
    flush: () => 0,
    barrier: () => undefined,
  } as unknown as PageSender;
  const command = { type: "pass", pass: 1, history: HISTORY } as const;
  const bytesPerSecond = PAGES_PER_SECOND * PAGE_BYTES;
  const limit = new RateLimit(tables.handle.limiter, bytesPerSecond, 1, clock);
  await new Pass(command, ram, tables, sender, limit, completeTuning(), clock).run();
  return sent;
}

function pages(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/** All but these. */
function without(...left: readonly number[]): number[] {
  return pages(0, PAGE_COUNT).filter((page) => !left.includes(page));
}

test("a pass leaves out all hot pages where they lie together at its beginning", async () => {
  // What is left takes three seconds, so what was written within four and a half is hot.
  const region = PAGE_COUNT / 4;
  const sent = await pagesSent((page) => (page < region ? epochAgo(1 + (page % 4)) : epochAgo(90)));
  assert.deepEqual(sent, pages(region, PAGE_COUNT));
});

test("hot pages at the beginning do not make those behind them hot", async () => {
  const region = PAGE_COUNT / 4;
  const sent = await pagesSent((page) => epochAgo(page < region ? 1 : 20));
  assert.deepEqual(sent, pages(region, PAGE_COUNT));
});

test("memory that was never written is not taken for time that is left", async () => {
  // The last quarter was never written: at its border nothing is left to send.
  const border = (PAGE_COUNT * 3) / 4;
  const aSecondBefore = new Map([[border - 1, border - 1000]]);
  const stampOf = (page: number) => (page < border ? epochAgo(90) : NEVER);
  assert.deepEqual(await pagesSent(stampOf, aSecondBefore), pages(0, PAGE_COUNT));
});

test("memory that was never written does not make the rest seem short", async () => {
  // Behind it two seconds are left, so what was written two seconds ago is hot.
  const border = PAGE_COUNT / 2;
  const sent = await pagesSent((page) =>
    page < border ? NEVER : epochAgo(page === border ? 2 : 90),
  );
  assert.deepEqual(sent, without(border));
});

test("a pass looks back ever less", async () => {
  // Four seconds are left at first, then two: of pages written four seconds before, one is hot and one is cold.
  const sent = await pagesSent((page) => epochAgo(page === 300 || page === 2048 ? 4 : 90));
  assert.deepEqual(sent, without(300));
});

test("a pass defers at its end only what has just been written", async () => {
  // With some 80 ms left, what was written 30 ms ago is hot, and what was two seconds ago is cold.
  const writes = new Map([
    [4020, 3990],
    [4021, 2000],
  ]);
  assert.deepEqual(await pagesSent(() => epochAgo(90), writes), without(4020));
});

// All pages but each tenth are hot. By page 1000 some of them were looked at.
const mostlyHot = (page: number) => epochAgo(page % 10 === 0 ? 90 : 0);

test("hot pages are not deferred once they are found to change little where they are rewritten", async () => {
  const sent = await pagesSent(mostlyHot, new Map(), { when: 1000, everyBytes: PAGE_BYTES });
  const sentFrom = (page: number) => sent.filter((it) => it >= page).length;
  assert.equal(sent.length - sentFrom(1000), 100);
  assert.ok(sentFrom(1536) === PAGE_COUNT - 1536, "a hot page was deferred");
});

test("hot pages are deferred where all of them changes", async () => {
  const sent = await pagesSent(mostlyHot, new Map(), { when: 1000, everyBytes: BLOCK_BYTES });
  // The pass looks back less far than to their writes at its end.
  assert.ok(sent.every((page) => page % 10 === 0 || page > PAGE_COUNT / 2));
});
