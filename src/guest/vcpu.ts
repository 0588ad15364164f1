import { monotonicClock } from "../clock.js";
import type { WaitOutcome } from "../memory/access.js";
import { AtomicPageBitmap } from "../memory/bitmap.js";
import { EpochMember } from "../memory/epoch.js";
import { GuestRam } from "../memory/ram.js";
import { TrackedMemory, type VcpuWaits } from "../memory/tracked-memory.js";
import { GUEST_WORDS, isPause, VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { FaultLine } from "../transport/fault-lines.js";
import { Pacer } from "./pacer.js";
import type { GuestProgram } from "./program.js";
import { Throttle } from "./throttle.js";
import { TouchedPages } from "./touched-pages.js";
import type { VcpuReport, VcpuSeat } from "./vcpu-contract.js";

/** Safepoints lie this far apart: often enough for a short pause, rarely enough to cost nothing. */
const SLICE_MS = 0.1;
const MAX_SLICE_OPERATIONS = 1 << 24;
/** Touched pages that a vCPU names: all that an ordinary operation touches. */
const MAX_TOUCHED = 16;
/** A request that has not left is tried again this often, while the page may come unasked. */
const RETRY_MS = 1;
/** A guest that sleeps on a futex of its own looks this often whether the host wants it. */
const FUTEX_SLICE_MS = 1;

/** One vCPU: runs the program slice by slice, with a safepoint between slices. Owns its thread. */
export class Vcpu implements VcpuWaits {
  readonly memory: TrackedMemory;
  private readonly touched: TouchedPages;
  private readonly ram: GuestRam;
  private readonly words: Int32Array;
  private readonly base: number;
  private readonly epoch: EpochMember;
  private readonly pacer: Pacer;
  private readonly throttle: Throttle;
  private readonly requested: AtomicPageBitmap | undefined;
  private readonly prepulled: AtomicPageBitmap | undefined;
  /** Since the guest was born. */
  private operations = 0;
  /** Since it started or went on, no operation has ended, nor has the guest gone to sleep in one. */
  private isFirst = true;
  /** How long the slice under way has slept by the guest's own wish. */
  private sleptMs = 0;

  constructor(
    private readonly seat: VcpuSeat,
    private readonly program: GuestProgram,
    private readonly report: (report: VcpuReport) => void,
    private readonly line = faultLineOf(seat),
  ) {
    this.ram = new GuestRam(seat.ram);
    this.words = this.ram.words;
    this.base = vcpuWords(seat.vcpu);
    this.epoch = new EpochMember(this.words, seat.vcpu);
    this.memory = new TrackedMemory(this.ram, this.epoch, this);
    this.touched = new TouchedPages(this.ram, this.epoch, this);
    const pace = program.operationsPerSecond?.(seat.options);
    const share = pace === undefined ? undefined : pace / this.ram.vcpuCount;
    this.pacer = new Pacer(share, monotonicClock);
    this.throttle = new Throttle(this.words);
    if (seat.faults !== null) {
      this.requested = new AtomicPageBitmap(this.ram.pageCount, seat.faults.requested);
      this.prepulled = new AtomicPageBitmap(this.ram.pageCount, seat.faults.prepulled);
    }
  }

  /** Boots the guest; this vCPU counts as running meanwhile. */
  boot(): readonly object[] {
    this.epoch.rejoin();
    const cpus = this.program.boot(this.memory, this.seat.options, this.ram.vcpuCount);
    this.epoch.quiesce();
    return cpus;
  }

  /** Runs the guest for good; returns only by an exception of the program. */
  run(cpu: object, operationsBefore: number): never {
    this.operations = operationsBefore;
    this.isFirst = true;
    let slice = 1;
    this.epoch.rejoin();
    for (;;) {
      this.epoch.acknowledge();
      const request = this.request();
      if (isPause(request)) {
        // An operation that takes most of a slice by itself would make the pause as much longer.
        if (slice > 1 && this.isWatched) this.operate(this.touched.memory, cpu, 1);
        this.park(request, cpu);
        this.isFirst = true;
        slice = 1;
      }
      const allowed = Math.min(slice, this.pacer.allowance());
      if (allowed < 1) {
        this.sleep(this.pacer.delayMs());
        continue;
      }
      this.sleptMs = 0;
      const startMs = monotonicClock.nowMs();
      this.operate(this.memory, cpu, allowed);
      const endMs = monotonicClock.nowMs();
      this.noteStart(endMs);
      slice = nextSlice(slice, allowed, endMs - startMs);
      // Who sleeps writes nothing, and owes nothing for it.
      const owedMs = this.throttle.owed(endMs - startMs - this.sleptMs);
      if (owedMs > 0) {
        this.sleep(owedMs);
        this.throttle.paid(monotonicClock.nowMs() - endMs);
      }
    }
  }

  /** The guest is at work again: it has done an operation, or sleeps in one because it wants to. */
  private noteStart(atMs: number): void {
    if (this.isFirst) this.report({ type: "started", firstOperationMs: atMs });
    this.isFirst = false;
  }

  private operate(memory: TrackedMemory, cpu: object, operations: number): void {
    const done = checkedCount(this.program.step(memory, cpu, operations));
    this.operations += done;
    this.pacer.spend(done);
    Atomics.store(this.words, this.base + VCPU_WORDS.OPERATIONS, this.operations | 0);
  }

  /** A page fault: asks for the page, and sleeps until the thread that brings it says so. */
  awaitPage(page: number): void {
    const startMs = monotonicClock.nowMs();
    const at = this.base + VCPU_WORDS.AWAITED;
    Atomics.add(this.words, this.base + VCPU_WORDS.FAULTS, 1);
    // Dekker again: we announce what we wait for, then look at the bitmap; who brings the page sets its
    // bit, then looks for the announcement. So one of the two sees the other, and no wake-up is lost.
    Atomics.store(this.words, at, page + 1);
    if (this.requested?.claim(page) === true) this.line?.request(page, this.prepullHits());
    this.epoch.quiesce();
    while (!this.ram.arrived.has(page)) {
      const hasLeft = this.line?.flush() !== false;
      Atomics.wait(this.words, at, page + 1, hasLeft ? Infinity : RETRY_MS);
    }
    this.epoch.rejoin();
    Atomics.store(this.words, at, 0);
    const us = Math.max(1, Math.round((monotonicClock.nowMs() - startMs) * 1000));
    Atomics.add(this.words, this.base + VCPU_WORDS.BLOCKED_US, us);
    this.seat.latencyUs.record(us);
  }

  private prepullHits(): number {
    return Atomics.load(this.words, this.base + VCPU_WORDS.PREPULL_HITS);
  }

  foundPage(page: number): void {
    if (this.prepulled?.has(page) !== true || !this.prepulled.take(page)) return;
    Atomics.add(this.words, this.base + VCPU_WORDS.PREPULL_HITS, 1);
  }

  futexWait(words: Int32Array, index: number, expected: number, timeoutMs: number): WaitOutcome {
    const startMs = monotonicClock.nowMs();
    const endMs = startMs + timeoutMs;
    this.epoch.quiesce();
    try {
      for (;;) {
        const leftMs = endMs - monotonicClock.nowMs();
        if (isPause(this.request())) return "interrupted";
        const sliceMs = Math.max(0, Math.min(leftMs, FUTEX_SLICE_MS));
        const outcome = Atomics.wait(words, index, expected, sliceMs);
        if (outcome !== "timed-out") return outcome;
        this.noteStart(startMs);
        if (leftMs <= FUTEX_SLICE_MS) return "timed-out";
      }
    } finally {
      this.epoch.rejoin();
      this.sleptMs += monotonicClock.nowMs() - startMs;
    }
  }

  /** Stands still until the host lets it run, with its state handed over. */
  private park(request: number, cpu: object): void {
    const touched = this.touched.take().slice(0, MAX_TOUCHED);
    const at = this.base + VCPU_WORDS.REQUEST;
    this.epoch.quiesce();
    const { operations } = this;
    this.report({ type: "paused", cpu, operations, touched, pausedMs: monotonicClock.nowMs() });
    // Until the next request, whatever it is: resumed and paused again at once, it reports once more.
    while (Atomics.load(this.words, at) === request) Atomics.wait(this.words, at, request);
    this.epoch.rejoin();
    this.pacer.restart();
  }

  private sleep(ms: number): void {
    const request = this.request();
    if (isPause(request)) return;
    this.epoch.quiesce();
    Atomics.wait(this.words, this.base + VCPU_WORDS.REQUEST, request, ms);
    this.epoch.rejoin();
  }

  private get isWatched(): boolean {
    return Atomics.load(this.words, GUEST_WORDS.WATCH) === 1;
  }

  private request(): number {
    return Atomics.load(this.words, this.base + VCPU_WORDS.REQUEST);
  }
}

function faultLineOf({ faults, vcpu }: VcpuSeat): FaultLine | undefined {
  return faults === null ? undefined : new FaultLine(faults.lines, vcpu);
}

/** What `step` returned; throws where that is no number of operations, which a module may well do. */
function checkedCount(done: unknown): number {
  if (typeof done === "number" && Number.isInteger(done) && done >= 0) return done;
  throw new TypeError(`step returned ${String(done)}; it must return how many operations it did`);
}

/** Steers the slice towards `SLICE_MS`, at most doubling it, from how long `done` operations took. */
function nextSlice(slice: number, done: number, tookMs: number): number {
  const ideal = tookMs > 0 ? done * (SLICE_MS / tookMs) : slice * 2;
  return Math.max(1, Math.min(Math.floor(ideal), slice * 2, MAX_SLICE_OPERATIONS));
}
