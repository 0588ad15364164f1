import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Worker } from "node:worker_threads";
import fc from "fast-check";
import { monotonicClock } from "../../../src/clock.js";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { EpochMember } from "../../../src/memory/epoch.js";
import { everyPage, PAGE_BYTES, type PageRange } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { TrackedMemory } from "../../../src/memory/tracked-memory.js";
import { EpochTracker } from "../../../src/memory/tracker.js";
import { ABSENT } from "../../../src/memory/words.js";
import { randomNumbers } from "../../random.js";
import { seed } from "../../seed.js";
import { Gate } from "./gate.js";
import { reportOf, startThread } from "../../threads.js";
import { SHARED_PAGES, type WriterSeat } from "./vcpu-contract.js";

const RAM_BYTES = 2 ** 20;
const PAGES = RAM_BYTES / PAGE_BYTES;
const ALL: PageRange = everyPage(RAM_BYTES);
/** How long the vCPUs write in one test. */
const HARD_MS = 1500;

/** A guest of one vCPU, whose thread is this one. */
function createGuest() {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  const epoch = new EpochMember(ram.words, 0);
  const memory = new TrackedMemory(ram, epoch, {
    awaitPage: () => assert.fail("no page is missing"),
    foundPage: () => undefined,
    futexWait: () => "timed-out",
  });
  epoch.rejoin();
  return { ram, epoch, store: (page: number) => memory.store8(page * PAGE_BYTES, 1) };
}

function written(tracker: EpochTracker): number[] {
  const out = PageBitmap.empty(PAGES);
  tracker.addWritten(out);
  return [...out.pages()];
}

test("EpochTracker reports every page that it has not marked yet", () => {
  const { ram } = createGuest();
  assert.equal(written(new EpochTracker(ram)).length, PAGES);
});

test("EpochTracker reports what was written since the mark of its page, and nothing older", async () => {
  const { ram, epoch, store } = createGuest();
  const tracker = new EpochTracker(ram);
  const mark = async (range: PageRange) => {
    const marked = tracker.mark(range);
    epoch.acknowledge();
    await marked;
  };
  store(1);
  store(200);
  await mark(ALL);
  assert.deepEqual(written(tracker), []);
  store(1);
  store(3);
  assert.deepEqual(written(tracker), [1, 3]);
  await mark({ firstPage: 0, pageCount: 3 });
  assert.deepEqual(written(tracker), [3]);
  store(2);
  assert.deepEqual(written(tracker), [2, 3]);
});

test("EpochTracker keeps what was in the set already", async () => {
  const { ram, epoch, store } = createGuest();
  const tracker = new EpochTracker(ram);
  const marked = tracker.mark(ALL);
  epoch.acknowledge();
  await marked;
  for (const page of [4, 5, 8, 9]) store(page);
  const out = PageBitmap.empty(PAGES);
  out.add(2);
  out.add(100);
  tracker.addWritten(out);
  assert.deepEqual([...out.pages()], [2, 4, 5, 8, 9, 100]);
});

test("EpochTracker reports a page exactly when its stamp is not older than its mark", () => {
  const { ram } = createGuest();
  const marks = EpochTracker.createMarks(PAGES);
  const tracker = new EpochTracker(ram, marks);
  const epochs = (least: number) =>
    fc.array(fc.integer({ min: least, max: 4 }), { minLength: PAGES, maxLength: PAGES });
  fc.assert(
    fc.property(epochs(ABSENT), epochs(1), (stamped, marked) => {
      ram.stamps.set(stamped);
      new Int32Array(marks).set(marked);
      const isWritten = (_: unknown, page: number) => stamped[page]! >= marked[page]!;
      assert.deepEqual(
        written(tracker),
        [...ram.stamps.keys()].filter((page) => isWritten(null, page)),
      );
      assert.deepEqual(
        stamped.map((_, page) => tracker.wasWritten(page)),
        stamped.map(isWritten),
      );
    }),
  );
});

test("EpochTracker counts a write that comes after the mark began and before it is obeyed", async () => {
  const { ram, epoch, store } = createGuest();
  const tracker = new EpochTracker(ram);
  const begun = tracker.beginMark(ALL);
  epoch.acknowledge();
  store(7);
  await tracker.whenObeyed(begun);
  assert.deepEqual(written(tracker), [7]);
});

test("EpochTracker of one reader does not disturb that of another", async () => {
  const { ram, epoch, store } = createGuest();
  const [first, second] = [new EpochTracker(ram), new EpochTracker(ram)];
  const mark = async (tracker: EpochTracker) => {
    const marked = tracker.mark(ALL);
    epoch.acknowledge();
    await marked;
  };
  await mark(first);
  store(1);
  await mark(second);
  store(2);
  assert.deepEqual(written(first), [1, 2]);
  assert.deepEqual(written(second), [2]);
});

test("EpochTracker in several threads shares the marks that it is given", async () => {
  const { ram, epoch, store } = createGuest();
  const marks = EpochTracker.createMarks(PAGES);
  const marked = new EpochTracker(ram, marks).mark(ALL);
  epoch.acknowledge();
  await marked;
  store(6);
  assert.deepEqual(written(new EpochTracker(ram, marks)), [6]);
});

/** The vCPU threads of a guest: they write hard, or stand still. */
class Writers {
  private readonly gate = new Gate();
  private readonly threads: readonly Worker[];

  constructor(t: TestContext, ram: GuestRam) {
    this.threads = Array.from({ length: ram.vcpuCount }, (_, vcpu) => {
      const seat: WriterSeat = { ram: ram.handle, vcpu, seed: seed + vcpu, gate: this.gate.buffer };
      return startThread(t, new URL("vcpu-worker.js", import.meta.url), seat);
    });
  }

  resume(): void {
    this.gate.turn();
  }

  /** Resolves when no vCPU touches memory any more. */
  async pause(): Promise<void> {
    const paused = Promise.all(this.threads.map(reportOf));
    this.gate.turn();
    await paused;
  }
}

/** A reader that copies chunk after chunk while the guest writes, as a pass of a migration does. */
class Reader {
  readonly tracker: EpochTracker;
  readonly copy = Buffer.alloc(RAM_BYTES);

  constructor(
    private readonly ram: GuestRam,
    private readonly random: (below: number) => number,
  ) {
    this.tracker = new EpochTracker(ram);
  }

  async read({ firstPage, pageCount }: PageRange): Promise<void> {
    await this.tracker.mark({ firstPage, pageCount });
    const [from, to] = [firstPage * PAGE_BYTES, (firstPage + pageCount) * PAGE_BYTES];
    this.copy.set(new Uint8Array(this.ram.buffer, from, to - from), from);
  }

  async readSome(): Promise<void> {
    for (let chunks = 1 + this.random(6); chunks > 0; chunks -= 1) {
      const firstPage = this.random(this.random(2) === 0 ? SHARED_PAGES : PAGES);
      await this.read({ firstPage, pageCount: Math.min(1 + this.random(16), PAGES - firstPage) });
    }
  }
}

for (const vcpuCount of [1, 2, 3]) {
  test(`EpochTracker of ${String(vcpuCount)} vCPU threads misses no write to a page read after its mark`, async (t) => {
    const ram = GuestRam.allocate(RAM_BYTES, vcpuCount);
    const bytes = Buffer.from(ram.buffer);
    const random = randomNumbers(seed);
    const readers = [new Reader(ram, random), new Reader(ram, random)];
    const writers = new Writers(t, ram);
    await writers.pause();
    for (const reader of readers) await reader.read(ALL);
    let [changed, unchanged] = [0, 0];
    const endMs = monotonicClock.nowMs() + HARD_MS;
    while (monotonicClock.nowMs() < endMs) {
      writers.resume();
      await Promise.all(readers.map((reader) => reader.readSome()));
      await writers.pause();
      for (const { tracker, copy } of readers) {
        for (let page = 0; page < PAGES; page += 1) {
          const [from, to] = [page * PAGE_BYTES, (page + 1) * PAGE_BYTES];
          const isEqual = bytes.compare(copy, from, to, from, to) === 0;
          if (isEqual) unchanged += 1;
          else if (tracker.wasWritten(page)) changed += 1;
          else assert.fail(`a write to page ${String(page)} was missed`);
        }
      }
    }
    t.diagnostic(
      `${String(changed)} pages changed behind the reader, ${String(unchanged)} did not`,
    );
    // Else nothing was tried.
    assert.ok(changed > 0 && unchanged > 0);
  });
}
