import assert from "node:assert/strict";
import type net from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { Failure } from "../../src/failure.js";
import { PageBitmap } from "../../src/memory/bitmap.js";
import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { createPageKernel } from "../../src/memory/kernel.js";
import { GuestRam } from "../../src/memory/ram.js";
import { FIRST_EPOCH } from "../../src/memory/words.js";
import { bulkChannels, URGENT } from "../../src/protocol/channel-names.js";
import {
  BLOCKS_PER_PAGE,
  DELTAS_HEAD_BYTES,
  readDeltas,
  readDeltasHead,
} from "../../src/protocol/deltas.js";
import { FrameDecoder, HEADER_BYTES } from "../../src/protocol/frame.js";
import { MAX_DATA_PAGES } from "../../src/protocol/limits.js";
import {
  encodeWords,
  FRAME_TYPES,
  MAX_PAGES_FRAME_BYTES,
  PAGES_HEAD_BYTES,
  PURPOSE,
  readPagesHead,
  readRuns,
} from "../../src/protocol/pages.js";
import { BlockSums } from "../../src/source/block-sums.js";
import { Channel } from "../../src/source/channel.js";
import type { ChannelReport, ChannelSeat } from "../../src/source/channel-contract.js";
import { CreditWindow } from "../../src/source/credit-window.js";
import { EpochHistory } from "../../src/source/epoch-history.js";
import { MigrationTables } from "../../src/source/migration-tables.js";
import { PrepullWindow } from "../../src/source/prepull-window.js";
import { RateLimit } from "../../src/source/rate-limit.js";
import { completeTuning } from "../../src/source/tuning.js";
import type { Attached } from "../../src/transport/attach.js";
import { WordFrames } from "../../src/transport/word-frames.js";
import { randomNumbers } from "../random.js";
import { seed } from "../seed.js";

const PAGE_COUNT = 512;
const VCPUS = 3;
const MOST_CHANNELS = 3;
/** As long as they may be, or no window would ever be full. */
const LARGE = { size: "max" } as const;

/** All pages of nobody's guest have contents, but for some that are zero. */
const ram = GuestRam.allocate(PAGE_COUNT * PAGE_BYTES, VCPUS);
new Uint8Array(ram.buffer).fill(1);
for (let page = 0; page < PAGE_COUNT; page += 16) {
  new Uint8Array(ram.buffer, page * PAGE_BYTES, PAGE_BYTES).fill(0);
}
ram.stamps.fill(FIRST_EPOCH);

/** What happens next in stage three, as a random schedule has it. Numbers stand for what there is, counted round and round. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("request" as const),
      /** Those that ask for the page, each on its line. */
      vcpus: fc.uniqueArray(fc.nat(VCPUS - 1), { minLength: 1 }),
      page: fc.nat(),
      touched: fc.nat(8),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("credit" as const),
      channel: fc.nat(),
      frames: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant("prepull" as const),
      channel: fc.nat(),
      pages: fc.uniqueArray(fc.nat(PAGE_COUNT - 1), { ...LARGE, maxLength: 200 }),
    }),
  },
);

const world = fc.record({
  channels: fc.integer({ min: 1, max: MOST_CHANNELS }),
  dirty: fc.uniqueArray(fc.nat(PAGE_COUNT - 1), {
    ...LARGE,
    minLength: 1,
    maxLength: PAGE_COUNT,
  }),
  /** Before the push begins, and after. */
  before: fc.array(step, { ...LARGE, maxLength: 10 }),
  after: fc.array(step, { ...LARGE, maxLength: 50 }),
});

interface SentFrame {
  readonly purpose: number;
  readonly pages: readonly number[];
  readonly bytes: number;
}

/** A connection whose other end is the test's: takes in what the source sends at once, and speaks when told to. */
class Line extends Duplex {
  readonly sent: SentFrame[] = [];
  private readonly frames = new WordFrames();
  private readonly decoder = new FrameDecoder(MAX_PAGES_FRAME_BYTES);
  private sequence = 0;

  constructor(private readonly name: string) {
    super();
    // Frame 0 of each direction was spent on attaching.
    assert.equal([...this.decoder.push(encodeWords(FRAME_TYPES.ATTACHED, 0, []))].length, 1);
  }

  get attached(): Attached {
    // All that a channel asks of its socket is what every stream has.
    const socket = this as unknown as net.Socket;
    return { channel: this.name, socket, frames: this.frames };
  }

  say(type: number, ...words: readonly number[]): void {
    const bytes = encodeWords(type, this.sequence, words);
    this.frames.next().set(bytes);
    this.frames.filled(bytes.byteLength);
    this.sequence += 1;
  }

  override _read(): void {
    // It speaks by itself.
  }

  override _write(chunk: Uint8Array, _encoding: unknown, done: () => void): void {
    for (const { type, flags, body } of this.decoder.push(chunk)) {
      const pages = type === FRAME_TYPES.DELTAS ? deltasOf(body) : pagesOf(body);
      if (type !== FRAME_TYPES.DELTAS) assert.equal(type, FRAME_TYPES.PAGES);
      this.sent.push({ purpose: flags, pages, bytes: HEADER_BYTES + body.byteLength });
    }
    done();
  }
}

function pagesOf(body: Uint8Array): number[] {
  const head = readPagesHead(body, body.byteLength);
  const runs = readRuns(body.subarray(PAGES_HEAD_BYTES), head, PAGE_COUNT);
  return runs.flatMap(({ firstPage, pageCount }) =>
    Array.from({ length: pageCount }, (_, at) => firstPage + at),
  );
}

function deltasOf(body: Uint8Array): number[] {
  const head = readDeltasHead(body, body.byteLength);
  const deltas = readDeltas(body.subarray(DELTAS_HEAD_BYTES), head, PAGE_COUNT);
  return deltas.map(({ page }) => page);
}

/** As if every third page had been sent in stage one, and been written since. */
function noteSent(tables: MigrationTables): void {
  const kernel = createPageKernel(ram.handle.memory);
  const sums = new BlockSums(kernel, tables.blockSums);
  for (let page = 0; page < PAGE_COUNT; page += 3) {
    kernel.checksumPage(page * PAGE_BYTES);
    sums.note(page);
    tables.blockSums[page * BLOCKS_PER_PAGE]! += 1;
    tables.checksums[page * 2] = 1;
    tables.sends[page] = 1;
  }
}

/** The channels of a source in stage three, and the destination's view of them. */
class StageThree {
  readonly tables = MigrationTables.create(PAGE_COUNT, RateLimit.createState());
  readonly failures: Failure[] = [];
  private readonly urgent = new Line(URGENT);
  private readonly faultLines = Array.from({ length: VCPUS }, (_, vcpu) => new Line(String(vcpu)));
  private readonly bulk: readonly Line[];
  private readonly channels: readonly Channel[];
  /** By channel, the frames that were credited. */
  private readonly credited: number[];
  private readonly hits = Array.from({ length: VCPUS }, () => 0);
  private prepulls = 0;

  constructor(channels: number) {
    const names = bulkChannels(channels);
    this.bulk = names.map((name) => new Line(name));
    this.credited = names.map(() => 0);
    this.tables.allowRequests();
    noteSent(this.tables);
    const create = (line: Line, channel: string, lines: readonly Line[]) => {
      const seat: ChannelSeat = {
        to: { host: "", port: 0 },
        ram: ram.handle,
        tables: this.tables.handle,
        rates: { pass: undefined, drain: undefined },
        tuning: completeTuning(),
        bulkCount: channels,
        channel,
        connections: [{ channel, greeting: new Uint8Array() }],
      };
      const attached = lines.map((it) => it.attached);
      return new Channel(seat, line.attached, attached, (report) => {
        this.hear(report);
      });
    };
    this.channels = this.bulk.map((line, index) => create(line, names[index]!, []));
    create(this.urgent, URGENT, this.faultLines);
  }

  /** As the main thread does, to each bulk channel in turn. */
  private hear(report: ChannelReport): void {
    if (report.type === "failed") this.failures.push(report.failure);
    if (report.type !== "prepull") return;
    this.channels[this.prepulls % this.channels.length]?.obey(report);
    this.prepulls += 1;
  }

  push(dirty: PageBitmap): void {
    this.tables.planned.assign(dirty);
    for (const channel of this.channels) channel.obey({ type: "push" });
  }

  prepull(index: number, pages: readonly number[]): void {
    const channel = this.channels[index % this.channels.length];
    channel?.obey({ type: "prepull", pages: Uint32Array.from(pages) });
  }

  /** vCPUs fault on `page`, each having touched so many more prepulled pages. */
  request(vcpus: readonly number[], page: number, touched: number): void {
    const sends = this.sends();
    const answers = this.urgent.sent.length;
    for (const vcpu of vcpus) {
      this.hits[vcpu]! += touched;
      this.faultLines[vcpu]!.say(FRAME_TYPES.REQUEST, page, 0, vcpu, this.hits[vcpu]!);
    }
    // Nobody was credited meanwhile, and no other thread has had its turn.
    const fresh = this.urgent.sent.slice(answers);
    const expected = sends.has(page) ? [] : [{ purpose: PURPOSE.PULL, pages: [page] }];
    assert.deepEqual(
      fresh.map(({ purpose, pages }) => ({ purpose, pages })),
      expected,
      `page ${String(page)}, asked for by ${String(vcpus.length)} vCPUs`,
    );
  }

  /** The destination takes in the oldest frames that a bulk channel has under way; how many they were. */
  credit(index: number, mostFrames = Number.POSITIVE_INFINITY): number {
    const at = index % this.bulk.length;
    const line = this.bulk[at]!;
    const from = this.credited[at]!;
    const frames = line.sent.slice(from, from + mostFrames);
    for (const { bytes } of frames) line.say(FRAME_TYPES.CREDIT, bytes);
    this.credited[at] = from + frames.length;
    return frames.length;
  }

  creditAll(): void {
    this.bulk.forEach((_, index) => this.credit(index));
  }

  /** A byte that was never sent, on each bulk channel. */
  overdraw(): void {
    for (const line of this.bulk) line.say(FRAME_TYPES.CREDIT, 1);
  }

  /** How often each page has left, on whatever connection. */
  sends(): Map<number, number> {
    const sends = new Map<number, number>();
    for (const { sent } of [this.urgent, ...this.bulk]) {
      for (const page of sent.flatMap(({ pages }) => pages)) {
        sends.set(page, (sends.get(page) ?? 0) + 1);
      }
    }
    return sends;
  }
}

test("stage three sends each dirty page once, answers at once and starves nobody, whatever the schedule", async () => {
  await fc.assert(
    fc.asyncProperty(world, async ({ channels, dirty, before, after }) => {
      const set = PageBitmap.empty(PAGE_COUNT);
      for (const page of dirty) set.add(page);
      const stage = new StageThree(channels);
      const play = async (steps: typeof after) => {
        for (const it of steps) {
          if (it.type === "request") {
            stage.request(it.vcpus, dirty[it.page % dirty.length]!, it.touched);
          } else if (it.type === "credit") {
            stage.credit(it.channel, it.frames);
          } else {
            stage.prepull(
              it.channel,
              it.pages.filter((page) => set.has(page)),
            );
          }
          await setImmediate();
        }
      };
      await play(before);
      stage.push(set);
      await play(after);
      // Each round lets a page of each channel go at least, if only one channel is left with something to send.
      let rounds = dirty.length - stage.sends().size + 1;
      for (; stage.sends().size < dirty.length; rounds -= 1) {
        assert.ok(rounds > 0, "pages are left although all that was sent has arrived");
        stage.creditAll();
        await setImmediate();
      }
      const sends = stage.sends();
      assert.deepEqual(
        [...sends.keys()].sort((one, other) => one - other),
        [...set.pages()],
      );
      assert.ok([...sends.values()].every((count) => count === 1));
      const { counters } = stage.tables;
      const asDelta = dirty.filter((page) => page % 3 === 0 && page % 16 !== 0);
      assert.equal(counters.read("deltaPages"), asDelta.length);
      assert.ok(stage.tables.mostSendsOfOnePage() <= 2);
      stage.creditAll();
      await setImmediate();
      assert.deepEqual(stage.failures, []);
      // All is credited: there is nothing left that any window could count down from.
      stage.overdraw();
      assert.deepEqual(
        stage.failures.map(({ code }) => code),
        Array.from({ length: channels }, () => "FRAME_MALFORMED"),
      );
    }),
    // Making the schedule of a failure short would take minutes.
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
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
    fc.property(fc.integer({ min: 1, max: 8 }), credits, (channels, rounds) => {
      const window = new CreditWindow(channels);
      const leastBytes = Math.max((12 * 1024) / channels, PAGE_BYTES);
      const underWay: number[] = [];
      let nowMs = 0;
      for (const { frames, bytes, ms, credited } of rounds) {
        for (let frame = 0; frame < frames && window.hasRoomFor(bytes); frame += 1) {
          window.sent(bytes, nowMs);
          underWay.push(bytes);
          const most = Math.max(window.limitBytes, window.limitBytes / 2 + bytes);
          assert.ok(window.underWayBytes <= most);
        }
        nowMs += ms;
        const sum = underWay.splice(0, credited).reduce((total, it) => total + it, 0);
        assert.ok(window.credit(sum, nowMs));
        assert.equal(
          window.underWayBytes,
          underWay.reduce((total, it) => total + it, 0),
        );
        const { limitBytes, frameBytes } = window;
        assert.ok(limitBytes >= leastBytes && limitBytes <= 6 * 2 ** 20);
        assert.ok(frameBytes >= PAGE_BYTES && frameBytes <= Math.max(PAGE_BYTES, limitBytes / 3));
        // Nothing under way: it opens again, so a drain can not stall.
        if (underWay.length === 0) assert.ok(window.hasRoomFor(2 ** 30));
      }
    }),
  );
});

test("CreditWindow has room for several frames without contents in the smallest window, and can become full of them", () => {
  for (const channels of [1, 2, 4, 8]) {
    const window = new CreditWindow(channels, 0);
    const before = window.limitBytes;
    let nowMs = 0;
    for (let round = 0; round < 5; round += 1) {
      let frames = 0;
      for (; window.hasRoomFor(window.frameBytes); frames += 1) window.sent(52, nowMs);
      assert.ok(frames >= 30, `${String(frames)} frames on ${String(channels)} channels`);
      nowMs += 1;
      for (; frames > 0; frames -= 1) assert.ok(window.credit(52, nowMs));
    }
    assert.ok(window.limitBytes > before, "it never grew");
  }
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
  /** There and back. */
  readonly delayMs: number;
  /** After a while the thread that sends gets a core only so often. */
  readonly coreEveryMs?: number;
  /** In one of 20 milliseconds, nothing is taken in from then on for up to so many. */
  readonly mostStallMs?: number;
  readonly channels?: number;
}

/** Keeps the window full over a link that queues; returns what is under way at most before each credit, and what had been sent. */
function drive(link: TestLink, credits: number, passRate?: number) {
  const { bytesPerMs, delayMs, coreEveryMs = 0, channels = 1, mostStallMs = 0 } = link;
  const window = new CreditWindow(channels, passRate);
  const log: { readonly atMs: number; readonly underWay: number; readonly sent: number }[] = [];
  const arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  let nowMs = 0;
  let linkFreeMs = 0;
  let sent = 0;
  const random = randomNumbers(seed);
  let stallEndMs = 0;
  let lookedMs = 0;
  for (let credit = 0; credit < credits; credit += 1) {
    for (;;) {
      const pages = Math.min(Math.floor(window.frameBytes / PAGE_BYTES), MAX_DATA_PAGES);
      if (!window.hasRoomFor(pages * PAGE_BYTES)) break;
      const bytes = pages * PAGE_BYTES + HEADER_BYTES + PAGES_HEAD_BYTES;
      window.sent(bytes, nowMs);
      sent += bytes;
      linkFreeMs = Math.max(linkFreeMs, nowMs + delayMs / 2) + bytes / bytesPerMs;
      arrivals.push({ atMs: linkFreeMs + delayMs / 2, bytes });
    }
    const underWay = window.underWayBytes;
    const { atMs, bytes } = arrivals.shift()!;
    for (; mostStallMs > 0 && lookedMs < atMs; lookedMs += 1) {
      if (lookedMs > stallEndMs && random(20) === 0) stallEndMs = lookedMs + random(mostStallMs);
    }
    nowMs = Math.max(nowMs, atMs, stallEndMs);
    if (coreEveryMs > 0 && credit > 20) nowMs = Math.ceil(nowMs / coreEveryMs) * coreEveryMs;
    assert.ok(window.credit(bytes, nowMs));
    log.push({ atMs: nowMs, underWay, sent });
  }
  return log;
}

/** Ascending. */
function underWayOf(log: ReturnType<typeof drive>): readonly number[] {
  return log.map(({ underWay }) => underWay).sort((one, other) => one - other);
}

/** The share of the link's rate that was used. */
function useOf(log: ReturnType<typeof drive>, { bytesPerMs }: TestLink): number {
  const [first, last] = [log[0]!, log.at(-1)!];
  return (last.sent - first.sent) / (last.atMs - first.atMs) / bytesPerMs;
}

test("CreditWindow keeps a link busy, and has only a few milliseconds more under way than its delay", () => {
  for (const mbitPerSecond of [20, 50, 100, 1000]) {
    for (const delayMs of [0.1, 1, 20, 40]) {
      const link = { bytesPerMs: mbitPerSecond * 125, delayMs };
      const name = `${String(mbitPerSecond)} Mbit/s, ${String(delayMs)} ms`;
      const settled = drive(link, 4000).slice(2000);
      const use = useOf(settled, link);
      assert.ok(use > 0.97, `${name}: ${use.toFixed(2)} of the rate is used`);
      const inMs = underWayOf(settled).map((bytes) => bytes / link.bytesPerMs);
      // A page is 1.6 ms at 20 Mbit/s, and what the first took is part of the delay that is measured.
      const leastMs = delayMs + PAGE_BYTES / link.bytesPerMs;
      assert.ok(inMs[1000]! < 1.5 * leastMs + 6, `${name}: ${inMs[1000]!.toFixed(1)} ms under way`);
      assert.ok(inMs.at(-1)! < 2 * leastMs + 10, `${name}: up to ${inMs.at(-1)!.toFixed(1)} ms`);
    }
  }
});

test("CreditWindow has little under way on a link that is fast: it cannot be asked for", () => {
  const link = { bytesPerMs: 2_500_000, delayMs: 0.05 };
  const settled = drive(link, 1000).slice(500);
  const most = underWayOf(settled).at(-1)!;
  assert.ok(most < 1.75 * 2 ** 20, `${String(most)} bytes`);
  assert.ok(useOf(settled, link) > 0.97, "the link stands still in between");
});

test("CreditWindow has as much under way on several channels as on one", () => {
  const link = { bytesPerMs: 600_000, delayMs: 0.05, channels: 4 };
  const most = underWayOf(drive(link, 1000).slice(500)).at(-1)!;
  assert.ok(most < 2 ** 19, `${String(most)} bytes on each`);
});

test("CreditWindow of all channels has hardly more under way on a slow link than that of one: a page or two on each", () => {
  for (const channels of [1, 2, 4]) {
    const link = { bytesPerMs: 1250 / channels, delayMs: 1, channels };
    const name = `${String(channels)} channels`;
    // What the pass showed of the link holds from the first frame on.
    const [first] = drive(link, 1, link.bytesPerMs);
    assert.ok(first!.underWay * channels < 5 * PAGE_BYTES, `${name} at first`);
    const usual = underWayOf(drive(link, 500))[250]! * channels;
    const mostPages = Math.max(4, 2 * channels);
    assert.ok(usual < (mostPages + 1) * PAGE_BYTES, `${name}: ${String(usual)} bytes`);
    assert.ok(new CreditWindow(channels).limitBytes * channels <= 64 * 1024);
  }
});

test("CreditWindow opens again where it is cores that are short, and not the link", () => {
  for (const channels of [1, 2, 4]) {
    for (const coreEveryMs of [3, 8]) {
      const link = { bytesPerMs: 1_000_000, delayMs: 0.05, channels, coreEveryMs };
      const usual = underWayOf(drive(link, 2000).slice(1000))[100]!;
      const name = `${String(channels)} channels, a core every ${String(coreEveryMs)} ms`;
      assert.ok(usual > 2 ** 19 / channels, `${name}: ${String(usual)} bytes`);
    }
  }
});

test("CreditWindow stays small on a slow link, however long that takes", () => {
  // The smallest window alone takes 98 ms at 1 Mbit/s, and 10 ms at 10. It is opened for a trial now and then.
  for (const bytesPerMs of [125, 1250, 2500]) {
    const settled = underWayOf(drive({ bytesPerMs, delayMs: 1 }, 6000).slice(1000));
    assert.ok(settled[4500]! <= 26 * 1024, `${String(settled[4500])} bytes`);
    assert.ok(settled.at(-1)! <= 48 * 1024, `${String(settled.at(-1))} bytes`);
  }
});

test("CreditWindow stays open on a long link whose delays vary", () => {
  for (const bytesPerMs of [12_500, 100_000, 250_000]) {
    const link = { bytesPerMs, delayMs: 20, mostStallMs: 60 };
    const use = useOf(drive(link, 10_000).slice(5000), link);
    assert.ok(use > 0.45, `${use.toFixed(2)} of ${String(bytesPerMs)} bytes in 1 ms are used`);
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
  const bytes = 32 * 1024;
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
    assert.equal(window.frameBytes, before / 3);
  }
});

test("CreditWindow opens within a few round trips on a long link", () => {
  for (const bytesPerMs of [12_500, 100_000]) {
    const delayMs = 100;
    const wanted = Math.min(bytesPerMs * delayMs, 4 * 2 ** 20);
    const wide = drive({ bytesPerMs, delayMs }, 3000).find(({ underWay }) => underWay >= wanted);
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
