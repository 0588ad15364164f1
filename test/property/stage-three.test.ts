import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PageBitmap } from "../../src/memory/bitmap.js";
import { CreditWindow } from "../../src/source/credit-window.js";
import { EpochHistory } from "../../src/source/epoch-history.js";
import { MigrationTables } from "../../src/source/migration-tables.js";
import { PrepullWindow } from "../../src/source/prepull-window.js";
import { PushOrder } from "../../src/source/push-order.js";
import { RateLimit } from "../../src/source/rate-limit.js";
import "../seed.js";

const PAGE_COUNT = 512;

/** What happens next in stage three, as a random schedule has it. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("push"), size: fc.integer({ min: 1, max: 64 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("fault"),
      page: fc.nat(PAGE_COUNT - 1),
      touched: fc.nat(8),
    }),
  },
);

const world = fc.record({
  dirty: fc.uniqueArray(fc.nat(PAGE_COUNT - 1), { maxLength: PAGE_COUNT }),
  steps: fc.array(step, { maxLength: 60 }),
});

/** Plays a schedule on the real order, windows and claims; returns how often each page was sent. */
function play({ dirty, steps }: typeof world extends fc.Arbitrary<infer W> ? W : never) {
  const set = PageBitmap.empty(PAGE_COUNT);
  for (const page of dirty) set.add(page);
  const tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  tables.planned.assign(set);
  const pushOrder = new PushOrder(tables);
  const prepull = new PrepullWindow(PAGE_COUNT);
  const { queued } = tables;
  const sends = new Map<number, number>();
  let hits = 0;
  const sent = (page: number) => sends.set(page, (sends.get(page) ?? 0) + 1);
  const send = (page: number) => {
    if (queued.claim(page)) sent(page);
  };
  const isQueued = (page: number) => queued.has(page);
  const push = (size: number) => {
    const batch = pushOrder.claim(size);
    assert.ok(batch.length <= size);
    batch.forEach(sent);
    return batch.length;
  };
  for (const it of steps) {
    if (it.type === "push" && "size" in it) push(it.size);
    if (it.type !== "fault" || !("page" in it) || !set.has(it.page)) continue;
    send(it.page);
    // No starvation: whatever the pushes did, a requested page is on its way at once.
    assert.ok(queued.has(it.page));
    pushOrder.faulted(it.page);
    hits += it.touched;
    for (const near of prepull.follow(it.page, hits, (page) => set.has(page) && !isQueued(page))) {
      assert.ok(set.has(near));
      send(near);
    }
  }
  while (push(7) > 0);
  return { sends, set };
}

test("stage three sends each dirty page exactly once, and no other, whatever the schedule", () => {
  fc.assert(
    fc.property(world, (it) => {
      const { sends, set } = play(it);
      assert.deepEqual(
        [...sends.keys()].sort((a, b) => a - b),
        [...set.pages()],
      );
      assert.ok([...sends.values()].every((count) => count === 1));
    }),
  );
});

const credits = fc.array(
  fc.record({
    frames: fc.integer({ min: 1, max: 4 }),
    bytes: fc.integer({ min: 1, max: 2 ** 20 }),
    ms: fc.double({ min: 0, max: 50, noNaN: true }),
    credited: fc.integer({ min: 0, max: 4 }),
  }),
  { maxLength: 100 },
);

test("CreditWindow never counts below zero, nor opens with a full window under way", () => {
  fc.assert(
    fc.property(credits, (rounds) => {
      const window = new CreditWindow(1);
      const underWay: number[] = [];
      let nowMs = 0;
      for (const { frames, bytes, ms, credited } of rounds) {
        for (let frame = 0; frame < frames && window.isOpen; frame += 1) {
          window.sent(bytes, nowMs);
          underWay.push(bytes);
        }
        nowMs += ms;
        const sum = underWay.splice(0, credited).reduce((total, it) => total + it, 0);
        assert.ok(window.credit(sum, nowMs));
        assert.equal(
          window.underWayBytes,
          underWay.reduce((total, it) => total + it, 0),
        );
        assert.equal(window.isOpen, window.underWayBytes < window.limitBytes);
        assert.ok(window.limitBytes >= 32 * 1024 && window.limitBytes <= 4 * 2 ** 20);
        // Nothing under way: it opens again, so a drain can not stall.
        if (underWay.length === 0) assert.ok(window.isOpen);
      }
    }),
  );
});

test("CreditWindow refuses a credit for bytes that were not sent", () => {
  const window = new CreditWindow(1);
  window.sent(100, 0);
  assert.equal(window.credit(60, 1), false);
  const other = new CreditWindow(1);
  other.sent(100, 0);
  assert.equal(other.credit(101, 1), false);
});

interface TestLink {
  readonly bytesPerMs: number;
  readonly delayMs: number;
  readonly mostFrameBytes: number;
  /** After a while the thread that sends gets a core only so often. */
  readonly coreEveryMs?: number;
  readonly channels?: number;
}

/** Keeps the window full over a link that queues; returns its limit after each credit. */
function drive(link: TestLink, credits: number) {
  const { bytesPerMs, delayMs, mostFrameBytes, coreEveryMs = 0, channels = 1 } = link;
  const window = new CreditWindow(channels);
  const limits: { readonly atMs: number; readonly bytes: number }[] = [];
  const arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  let nowMs = 0;
  let linkFreeMs = 0;
  for (let credit = 0; credit < credits; credit += 1) {
    while (window.isOpen) {
      const bytes = Math.min(Math.floor(window.limitBytes / 2), mostFrameBytes);
      window.sent(bytes, nowMs);
      linkFreeMs = Math.max(linkFreeMs, nowMs) + bytes / bytesPerMs;
      arrivals.push({ atMs: linkFreeMs + delayMs, bytes });
    }
    const { atMs, bytes } = arrivals.shift()!;
    nowMs = Math.max(nowMs, atMs);
    if (coreEveryMs > 0 && credit > 20) nowMs = Math.ceil(nowMs / coreEveryMs) * coreEveryMs;
    assert.ok(window.credit(bytes, nowMs));
    limits.push({ atMs: nowMs, bytes: window.limitBytes });
  }
  return limits;
}

test("CreditWindow settles at the link's rate times its delay and a few milliseconds", () => {
  const bytesPerMs = 12_500; // 100 Mbit/s
  const delayMs = 1;
  const settled = drive({ bytesPerMs, delayMs, mostFrameBytes: 8192 }, 4000).slice(2000);
  for (const { bytes } of settled) {
    const queueMs = bytes / bytesPerMs;
    assert.ok(queueMs > delayMs && queueMs < 10, `it queues ${queueMs.toFixed(1)} ms`);
  }
});

test("CreditWindow has little under way on a link that is fast: it cannot be asked for", () => {
  const bytesPerMs = 2_500_000;
  const delayMs = 0.05;
  const settled = drive({ bytesPerMs, delayMs, mostFrameBytes: 2 ** 20 }, 1000).slice(500);
  const most = Math.max(...settled.map(({ bytes }) => bytes));
  const least = Math.min(...settled.map(({ bytes }) => bytes));
  assert.ok(most < 1.5 * 2 ** 20, `${String(most)} bytes`);
  assert.ok(least > bytesPerMs * delayMs, "the link stands still in between");
});

test("CreditWindow has as much under way on several channels as on one", () => {
  const link = { bytesPerMs: 600_000, delayMs: 0.05, mostFrameBytes: 2 ** 20, channels: 4 };
  const settled = drive(link, 1000).slice(500);
  const most = Math.max(...settled.map(({ bytes }) => bytes));
  assert.ok(most < 2 ** 19, `${String(most)} bytes on each`);
});

test("CreditWindow of all channels lets a requested page wait no longer than that of one, at first and at least", () => {
  const underWay = (channels: number, credits: number) => {
    const link = { bytesPerMs: 1250 / channels, delayMs: 1, mostFrameBytes: 4096, channels };
    return channels * Math.min(...drive(link, credits).map(({ bytes }) => bytes));
  };
  for (const channels of [1, 2, 4]) {
    assert.ok(new CreditWindow(channels).limitBytes * channels <= 64 * 1024);
    assert.ok(underWay(channels, 500) <= 32 * 1024, `${String(channels)} channels`);
  }
});

test("CreditWindow opens again where it is cores that are short, and not the link", () => {
  const link = { bytesPerMs: 1_000_000, delayMs: 0.05, mostFrameBytes: 2 ** 20 };
  const settled = drive({ ...link, coreEveryMs: 8 }, 2000).slice(1000);
  const least = Math.min(...settled.map(({ bytes }) => bytes));
  assert.ok(least > 2 ** 19, `${String(least)} bytes`);
});

test("CreditWindow stays small on a slow link, however long that takes", () => {
  // 1, 10, 20 and 50 Mbit/s: the smallest window alone takes 262, 26, 13 and 5 ms there. It is opened for a trial now and then.
  for (const [bytesPerMs, mostBytes] of [
    [125, 36 * 1024],
    [1250, 128 * 1024],
    [2500, 128 * 1024],
    [6250, 128 * 1024],
  ] as const) {
    const settled = drive({ bytesPerMs, delayMs: 1, mostFrameBytes: 8192 }, 6000).slice(1000);
    const small = settled.filter(({ bytes }) => bytes <= 48 * 1024).length;
    const most = Math.max(...settled.map(({ bytes }) => bytes));
    assert.ok(small > 0.9 * settled.length, `${String(small)} of ${String(settled.length)}`);
    assert.ok(most <= mostBytes, `${String(most)} bytes`);
  }
});

test("CreditWindow does not take credits that are read late for a fast link", () => {
  const bytes = 128 * 1024;
  const late = new CreditWindow(1);
  for (let frame = 0; frame < 10; frame += 1) late.sent(bytes, frame / 2);
  late.sent(bytes, 4.8);
  // To all appearances eleven frames in the 0.2 ms that the last was under way.
  for (let frame = 0; frame < 11; frame += 1) assert.ok(late.credit(bytes, 5));
  assert.ok(late.limitBytes < 2 ** 21, `${String(late.limitBytes)} bytes`);

  const twice = new CreditWindow(1);
  for (let frame = 0; frame < 11; frame += 1) twice.sent(bytes, frame / 2);
  assert.ok(twice.credit(bytes, 5));
  twice.sent(bytes, 5);
  for (let frame = 0; frame < 11; frame += 1) assert.ok(twice.credit(bytes, 5.1));
  assert.ok(twice.limitBytes < 2 ** 21, `${String(twice.limitBytes)} bytes`);
});

test("CreditWindow does not take a silence for a slow link", () => {
  const window = new CreditWindow(1);
  const bytes = window.limitBytes / 2;
  let nowMs = 1e6;
  for (let burst = 0; burst < 40; burst += 1) {
    window.sent(bytes, nowMs);
    window.sent(bytes, nowMs);
    // The first is the quickest.
    nowMs += burst === 0 ? 1 : 4;
    assert.ok(window.credit(2 * bytes, nowMs));
    nowMs += 1000;
    assert.ok(window.limitBytes >= bytes, `${String(window.limitBytes)} bytes`);
  }
});

test("CreditWindow does not shrink while little is sent", () => {
  const window = new CreditWindow(1);
  const before = window.limitBytes;
  for (let fault = 0; fault < 100; fault += 1) {
    window.sent(4200, fault * 30);
    assert.ok(window.credit(4200, fault * 30 + 20));
    assert.equal(window.limitBytes, before);
  }
});

test("CreditWindow opens within a few round trips on a long link", () => {
  for (const bytesPerMs of [12_500, 100_000]) {
    const delayMs = 100;
    const limits = drive({ bytesPerMs, delayMs, mostFrameBytes: 2 ** 20 }, 300);
    const wanted = Math.min(bytesPerMs * delayMs, 4 * 2 ** 20);
    const wide = limits.find(({ bytes }) => bytes >= wanted);
    assert.ok(wide !== undefined, `it never opened at ${String(bytesPerMs)} bytes in 1 ms`);
    assert.ok(wide.atMs < 15 * delayMs, `it took ${(wide.atMs / delayMs).toFixed(0)} round trips`);
  }
});

test("PrepullWindow grows on a walk, strides on a stride, and stays shut for random faults", () => {
  const all = () => true;
  const walk = new PrepullWindow(100_000);
  let page = 0;
  let hits = 0;
  for (let fault = 0; fault < 10; fault += 1) {
    const window = walk.follow(page, hits, all);
    hits += window.length;
    page = (window.at(-1) ?? page) + 1;
  }
  assert.equal(walk.windowPages, 128);

  const stride = new PrepullWindow(100_000);
  let proposed: number[] = [];
  for (let fault = 0; fault < 4; fault += 1) proposed = stride.follow(fault * 16, 0, all);
  assert.deepEqual(proposed.slice(0, 3), [64, 80, 96]);

  const random = new PrepullWindow(100_000);
  for (const fault of [5, 900, 17, 44_000, 3_000, 71_000]) proposed = random.follow(fault, 0, all);
  assert.deepEqual(proposed, []);
});

test("EpochHistory finds the epoch since a time as a naive search does", () => {
  const openings = fc.array(fc.record({ gapMs: fc.nat(20), gap: fc.integer({ min: 1, max: 5 }) }));
  fc.assert(
    fc.property(openings, fc.nat(400), (gaps, atMs) => {
      const history = new EpochHistory();
      const noted: { epoch: number; atMs: number }[] = [];
      for (const { gapMs, gap } of gaps) {
        const last = noted.at(-1) ?? { epoch: 0, atMs: 0 };
        const next = { epoch: last.epoch + gap, atMs: last.atMs + gapMs };
        noted.push(next);
        history.note(next.epoch, next.atMs);
      }
      const naive = noted.find((it) => it.atMs >= atMs)?.epoch ?? Number.POSITIVE_INFINITY;
      assert.equal(history.firstSince(atMs), naive);
    }),
  );
});
