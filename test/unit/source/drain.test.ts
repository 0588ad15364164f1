import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { PURPOSE, type Purpose } from "../../../src/protocol/pages.js";
import { CreditWindow } from "../../../src/source/credit-window.js";
import { Drain } from "../../../src/source/drain.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import type { PageSender } from "../../../src/source/page-sender.js";
import { RateLimit } from "../../../src/source/rate-limit.js";

const PAGE_COUNT = 4096;

interface Sent {
  readonly purpose: Purpose;
  readonly pages: readonly number[];
  readonly bytes: number;
}

/** A drain of a guest whose pages are all dirty, and a link that keeps what leaves on it. */
class Draining {
  readonly tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  readonly sent: Sent[] = [];
  readonly drain: Drain;
  private frame: number[] = [];
  private nowMs = 0;
  private credited = 0;

  constructor(
    bytesPerSecond?: number,
    /** What a page adds to its frame. */
    private readonly pageBytes = 4096,
  ) {
    const all = PageBitmap.empty(PAGE_COUNT);
    all.addAll();
    this.tables.planned.assign(all);
    const { frame } = this;
    const sender = {
      get contentBytes() {
        return frame.length * pageBytes;
      },
      ready: () => Promise.resolve(),
      add: (page: number) => this.frame.push(page),
      flush: (purpose: Purpose) => this.flush(purpose),
    } as unknown as PageSender;
    const clock = { nowMs: () => this.nowMs };
    const limit = new RateLimit(this.tables.handle.limiter, bytesPerSecond, 1, clock);
    this.drain = new Drain(this.tables, sender, limit, clock, new CreditWindow(1));
  }

  /** The destination takes in the oldest frame that it has not; all that follows from it has happened. */
  async credit(): Promise<void> {
    this.nowMs += 1;
    const { bytes = 0 } = this.sent[this.credited] ?? {};
    this.credited += 1;
    assert.ok(this.drain.credit(bytes));
    await setImmediate();
  }

  /** A millisecond passes for clock and timers, and the destination takes in all that has left. */
  async pass(timers: TestContext["mock"]["timers"]): Promise<void> {
    this.nowMs += 1;
    timers.tick(1);
    await setImmediate();
    for (; this.underWay > 0; this.credited += 1) {
      assert.ok(this.drain.credit(this.sent[this.credited]!.bytes));
    }
    await setImmediate();
  }

  get underWay(): number {
    return this.sent.length - this.credited;
  }

  private flush(purpose: Purpose): number {
    const pages = this.frame.splice(0);
    if (pages.length === 0) return 0;
    const bytes = pages.length * this.pageBytes + 100;
    this.sent.push({ purpose, pages, bytes });
    return bytes;
  }
}

test("a push stops when the window is full, and goes on with each credit until all is sent once", async () => {
  const draining = new Draining();
  draining.drain.push();
  await setImmediate();
  assert.ok(draining.underWay > 0, "nothing has left");
  assert.ok(draining.sent.flatMap(({ pages }) => pages).length < PAGE_COUNT, "all left at once");
  const before = draining.sent.length;
  await setImmediate();
  assert.equal(draining.sent.length, before, "it went on without a credit");
  while (draining.underWay > 0) await draining.credit();
  const pages = draining.sent.flatMap((frame) => frame.pages);
  assert.deepEqual(
    pages.sort((one, other) => one - other),
    Array.from({ length: PAGE_COUNT }, (_, page) => page),
  );
});

test("the first frames hold a page, or as many deltas as come to one", async () => {
  for (const [pageBytes, pages] of [
    [4096, 1],
    [1024, 4],
    [256, 16],
  ] as const) {
    const draining = new Draining(undefined, pageBytes);
    draining.drain.push();
    await setImmediate();
    const sizes = new Set(draining.sent.map((frame) => frame.pages.length));
    assert.deepEqual([...sizes], [pages], `pages of ${String(pageBytes)} bytes`);
  }
});

test("the neighbours of a fault leave before what is pushed, once there is room", async () => {
  const draining = new Draining();
  draining.drain.push();
  await setImmediate();
  const before = draining.sent.length;
  draining.drain.prepull(Uint32Array.of(4000, 4001, 4002));
  // By the time that there is room, another channel has sent this one.
  draining.tables.queued.claim(4001);
  await setImmediate();
  assert.equal(draining.sent.length, before, "they left although the window is full");
  while (draining.underWay > 0) await draining.credit();
  const after = draining.sent.slice(before);
  const firstPush = after.findIndex(({ purpose }) => purpose === PURPOSE.PUSH);
  const leading = after.slice(0, firstPush).flatMap(({ pages }) => pages);
  assert.deepEqual(leading, [4000, 4002]);
  const all = draining.sent.flatMap((frame) => frame.pages);
  assert.equal(new Set(all).size, all.length, "a page left twice");
  assert.equal(all.length, PAGE_COUNT - 1);
});

test("neighbours that are more than a frame holds leave in several, and still before the push", async () => {
  const draining = new Draining();
  draining.drain.push();
  await setImmediate();
  const before = draining.sent.length;
  const many = Uint32Array.from({ length: 1000 }, (_, at) => 3000 + at);
  draining.drain.prepull(many);
  while (draining.underWay > 0) await draining.credit();
  const purposes = draining.sent.slice(before).map(({ purpose }) => purpose);
  const firstPush = purposes.indexOf(PURPOSE.PUSH);
  assert.ok(firstPush > 1, "the neighbours fitted into one frame");
  const leading = draining.sent.slice(before, before + firstPush).flatMap(({ pages }) => pages);
  assert.deepEqual(leading, [...many]);
});

test("a push keeps to the rate of stage three and uses all of it, however fast its pages arrive", async (context) => {
  const { timers } = context.mock;
  timers.enable({ apis: ["setTimeout"] });
  const rate = 4_000_000;
  const draining = new Draining(rate);
  draining.drain.push();
  const second = async () => {
    const before = draining.sent.length;
    for (let ms = 0; ms < 1000; ms += 1) await draining.pass(timers);
    return draining.sent.slice(before).reduce((sum, { bytes }) => sum + bytes, 0);
  };
  for (let round = 0; round < 3; round += 1) {
    const ratio = (await second()) / rate;
    assert.ok(ratio > 0.97 && ratio < 1.03, `${ratio.toFixed(3)} of the rate`);
  }
});
