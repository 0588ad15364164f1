import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { GUEST_WORDS, NEVER } from "../../../src/memory/words.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import type { PageSender } from "../../../src/source/page-sender.js";
import { Pass } from "../../../src/source/pass.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning, type TuningChoice } from "../../../src/source/tuning.js";

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

/**
 * A pass over a guest that wrote each page in the epoch that `stampOf` says. While it goes on, the guest
 * writes to page p when page `writes.get(p)` is sent; of each it changes so many per mille. Resolves with the pages that it sent,
 * how many they were at each of its frames, how many no frame had when it ended, and which of them are noted for deltas.
 */
async function passOver(
  stampOf: (page: number) => number,
  writes: ReadonlyMap<number, number> = new Map(),
  { rewritten = 1000, tuning = {} }: { rewritten?: number; tuning?: TuningChoice } = {},
): Promise<{ sent: number[]; frames: number[]; end: number; noted: number[] }> {
  const ram = GuestRam.allocate(PAGE_COUNT * PAGE_BYTES, 1);
  ram.words[GUEST_WORDS.EPOCH] = epochAgo(0);
  ram.words[GUEST_WORDS.REWRITTEN] = rewritten;
  for (let page = 0; page < PAGE_COUNT; page += 1) ram.stamps[page] = stampOf(page);
  const tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  let nowMs = START_MS;
  const clock = { nowMs: () => nowMs };
  const sent: number[] = [];
  const frames: number[] = [];
  const noted: number[] = [];
  let end = -1;
  const sender = {
    ready: () => Promise.resolve(),
    hasRoom: true,
    get contentBytes() {
      const unsent = sent.slice(frames.at(-1) ?? 0);
      return unsent.some((page) => ram.stamps[page] !== NEVER) ? PAGE_BYTES : 0;
    },
    addRun(firstPage: number, endPage: number, deltasSince: number) {
      for (let page = firstPage; page < endPage; page += 1) {
        sent.push(page);
        if (ram.stamps[page]! >= deltasSince) noted.push(page);
        if (ram.stamps[page] !== NEVER) nowMs += 1000 / PAGES_PER_SECOND;
        for (const [written, when] of writes) {
          if (when === page) ram.stamps[written] = ram.words[GUEST_WORDS.EPOCH]!;
        }
      }
      return endPage;
    },
    flush: () => {
      frames.push(sent.length);
      return 0;
    },
    barrier: () => {
      end = sent.length - (frames.at(-1) ?? 0);
    },
  } as unknown as PageSender;
  const command = { type: "pass", pass: 1, history: HISTORY } as const;
  const bytesPerSecond = PAGES_PER_SECOND * PAGE_BYTES;
  const limit = new RateLimit(tables.handle.limiter, bytesPerSecond, 1, clock);
  await new Pass(command, ram, tables, sender, limit, completeTuning(tuning), clock).run();
  return { sent, frames, end, noted };
}

async function pagesSent(...of: Parameters<typeof passOver>): Promise<number[]> {
  return (await passOver(...of)).sent;
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

test("memory that was never written takes no frames of its own, but before the pass ends", async () => {
  const contents = new Set([1000, 1001, 3000]);
  const { sent, frames, end } = await passOver((page) =>
    contents.has(page) ? epochAgo(90) : NEVER,
  );
  assert.deepEqual(sent, pages(0, PAGE_COUNT));
  assert.ok(frames.length <= contents.size + 1, `${String(frames.length)} frames`);
  assert.equal(end, 0);
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

// All pages but each tenth are hot.
const mostlyHot = (page: number) => epochAgo(page % 10 === 0 ? 90 : 0);
const sentFirst = async (rewritten: number, tuning: TuningChoice = {}) =>
  (await pagesSent(mostlyHot, new Map(), { rewritten, tuning })).filter(
    // A pass looks back less far than to those writes at its end.
    (page) => page < PAGE_COUNT / 2,
  );
const firstPages = pages(0, PAGE_COUNT / 2);
const firstCold = firstPages.filter((page) => page % 10 === 0);

test("hot pages are not deferred where the guest changes little of a page", async () => {
  assert.deepEqual(await sentFirst(500), firstPages);
});

test("hot pages are deferred where the guest changes most of a page", async () => {
  assert.deepEqual(await sentFirst(501), firstCold);
});

test("without deltas what a guest changes of a page makes no difference", async () => {
  assert.deepEqual(await sentFirst(100, { delta: false }), firstCold);
});

test("pages are noted for deltas that were written within fifty times what is left of the pass", async () => {
  // What is left of the four seconds there is a second and a half, one, and a quarter of one; the clock goes on meanwhile.
  const [first, middle, late] = [PAGE_COUNT - 1536, PAGE_COUNT - 1024, PAGE_COUNT - 256];
  const written = new Map([
    [first, 70],
    [first + 1, 80],
    [middle, 45],
    [middle + 1, 60],
    [late, 5],
    [late + 1, 20],
  ]);
  const { noted, sent } = await passOver((page) => epochAgo(written.get(page) ?? 99), new Map(), {
    tuning: { defer: false },
  });
  assert.deepEqual(
    noted.filter((page) => page >= first),
    [first, middle, late],
  );
  assert.equal(sent.length, PAGE_COUNT);
});

test("all pages are noted for deltas of a guest that is not known for so long", async () => {
  // For a hundred seconds, which is fifty times what is left in the middle. What it wrote was before that.
  const { noted } = await passOver(() => epochAgo(101), new Map(), { tuning: { defer: false } });
  assert.deepEqual(noted, pages(0, noted.length));
  const border = noted.length / PAGE_COUNT;
  assert.ok(border > 0.45 && border < 0.55, String(border));
});
