import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { MAX_DATA_PAGES } from "../../../src/protocol/limits.js";
import { FRAME_MS, RateLimit } from "../../../src/source/rate-limit.js";

const RATE = 10_000_000;
const FRAME = 50_000;
/** What is made up for after a pause, at most. */
const BURST_MS = 10;

/** Time that passes only when told to, for the clock and for timers alike. */
class FakeTime {
  nowMs = 1000;

  constructor(private readonly context: TestContext) {
    context.mock.timers.enable({ apis: ["setTimeout"] });
  }

  readonly clock = { nowMs: () => this.nowMs };

  async pass(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 1) {
      await settle();
      this.nowMs += 1;
      this.context.mock.timers.tick(1);
    }
    await settle();
  }
}

/** Lets everything go on that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

async function isReadyNow(limit: RateLimit): Promise<boolean> {
  let isReady = false;
  void limit.ready(FRAME).then(() => (isReady = true));
  await settle();
  return isReady;
}

/** Sends frames until it is far beyond any limit; `sent` grows as they leave. */
function startSender(limit: RateLimit, sent: { bytes: number }): void {
  const send = async () => {
    while (sent.bytes < 10 * RATE) {
      await limit.ready(FRAME);
      limit.charge(FRAME);
      sent.bytes += FRAME;
    }
  };
  void send();
}

test("all senders together keep to the rate, and use all of it", async (context) => {
  const time = new FakeTime(context);
  const state = RateLimit.createState();
  const sent = { bytes: 0 };
  const senders = 3;
  for (let sender = 0; sender < senders; sender += 1) {
    startSender(new RateLimit(state, RATE, senders, time.clock), sent);
  }
  for (const ms of [1, 10, 100, 1000]) {
    const before = { ...sent };
    await time.pass(ms);
    const allowed = (RATE * (ms + BURST_MS)) / 1000 + FRAME;
    assert.ok(sent.bytes - before.bytes <= allowed, `${String(sent.bytes)} bytes by ${String(ms)}`);
  }
  assert.ok(sent.bytes >= RATE * 1.111 * 0.98, `only ${String(sent.bytes)} bytes were sent`);
});

/** Bytes of a frame with so many pages, all of them neighbours: header, head, a run, and a checksum for each. */
const frameBytes = (pages: number) => 16 + 16 + 12 + pages * (8 + 4096);

test("every second has the bytes of a second, give or take 3 %, for any rate and any number of senders", async (context) => {
  const time = new FakeTime(context);
  const spanMs = 2200;
  for (const megabits of [1, 10, 100, 1000]) {
    for (const senders of [1, 4, 16]) {
      const rate = (megabits * 1e6) / 8;
      const state = RateLimit.createState();
      const startMs = time.nowMs;
      const sentIn = new Array<number>(spanMs).fill(0);
      const send = async (limit: RateLimit) => {
        const bytes = frameBytes(limit.framePages(FRAME_MS.push));
        for (;;) {
          await limit.ready(bytes);
          const ms = time.nowMs - startMs;
          if (ms >= spanMs) return;
          limit.charge(bytes);
          sentIn[ms] = (sentIn[ms] ?? 0) + bytes;
        }
      };
      for (let sender = 0; sender < senders; sender += 1) {
        void send(new RateLimit(state, rate, senders, time.clock));
      }
      await time.pass(spanMs);
      for (let ms = 100; ms + 1000 <= spanMs; ms += 1) {
        const bytes = sentIn.slice(ms, ms + 1000).reduce((sum, it) => sum + it, 0);
        const what = `${String(megabits)} Mbit/s, ${String(senders)} senders`;
        assert.ok(Math.abs(bytes / rate - 1) <= 0.03, `${what}: ${String(bytes)} in a second`);
      }
    }
  }
});

test("what a frame did not cost is given back, and so is all of it where none is sent", async (context) => {
  const time = new FakeTime(context);
  const state = RateLimit.createState();
  const limit = new RateLimit(state, RATE, 1, time.clock);
  const other = new RateLimit(state, RATE, 1, time.clock);
  await limit.ready(RATE);
  assert.equal(await isReadyNow(other), false);
  limit.charge(0);
  await time.pass(1000);
  assert.equal(await isReadyNow(limit), true);
});

test("time in which nothing was sent is not saved up", async (context) => {
  const time = new FakeTime(context);
  const limit = new RateLimit(RateLimit.createState(), RATE, 1, time.clock);
  limit.charge(FRAME);
  await time.pass(10_000);
  const sent = { bytes: 0 };
  startSender(limit, sent);
  await time.pass(10);
  assert.ok(sent.bytes <= (RATE * (10 + BURST_MS)) / 1000 + FRAME, String(sent.bytes));
});

test("a sender that comes late to its turns still uses all of the rate", async (context) => {
  const time = new FakeTime(context);
  const limit = new RateLimit(RateLimit.createState(), RATE, 1, time.clock);
  let sent = 0;
  for (let turn = 0; turn < 250; turn += 1) {
    await time.pass(BURST_MS - 2);
    while (await isReadyNow(limit)) {
      limit.charge(FRAME);
      sent += FRAME;
    }
  }
  assert.ok(sent >= RATE * 2 * 0.98, `only ${String(sent)} bytes in 2 s`);
});

test("one large frame is paid for before the next leaves", async (context) => {
  const time = new FakeTime(context);
  const limit = new RateLimit(RateLimit.createState(), RATE, 1, time.clock);
  limit.charge(RATE);
  let isReady = false;
  void limit.ready(FRAME).then(() => (isReady = true));
  await time.pass(1000 - BURST_MS - 1);
  assert.equal(isReady, false);
  await time.pass(BURST_MS + 1);
  assert.equal(isReady, true);
});

test("without a limit nothing waits", async (context) => {
  const time = new FakeTime(context);
  const limit = new RateLimit(RateLimit.createState(), undefined, 1, time.clock);
  limit.charge(2 ** 40);
  await limit.ready(FRAME);
});

test("a frame at a limited rate is short, but never empty nor larger than may be", () => {
  for (const frameMs of Object.values(FRAME_MS)) {
    const framePages = (rate: number | undefined, senders: number) => {
      const state = RateLimit.createState();
      return new RateLimit(state, rate, senders, { nowMs: () => 0 }).framePages(frameMs);
    };
    assert.equal(framePages(undefined, 16), MAX_DATA_PAGES);
    assert.equal(framePages(1, 1), 1);
    assert.equal(framePages(1, 16), 1);
    assert.equal(framePages(1e12, 1), MAX_DATA_PAGES);
    for (const senders of [1, 4]) {
      const pages = framePages(RATE, senders);
      const most = (RATE * frameMs) / 1000 / senders;
      assert.ok(pages > 1 && pages * 4096 <= most && (pages + 1) * 4096 > most, String(pages));
    }
  }
});
