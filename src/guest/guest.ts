import { once } from "node:events";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { Worker } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import type { GuestRam } from "../memory/ram.js";
import { GUEST_WORDS, QUIESCENT, VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { allOrNone, startThread } from "../platform/spare-threads.js";
import type { GuestOptions } from "./program.js";
import type { FaultTables, VcpuCommand, VcpuReport, VcpuSeat } from "./vcpu-contract.js";
import { WordTotal } from "./word-total.js";

/** What a guest is, on whichever host it stands. */
export interface GuestSpec {
  readonly guestId: string;
  /** The program's own name, for people. */
  readonly name: string;
  /** As `loadProgram` takes it: `builtin:NAME` or an absolute path. */
  readonly program: string;
  readonly programSha256: string | null;
  readonly options: GuestOptions;
  readonly ramBytes: number;
  readonly vcpuCount: number;
}

/** A guest that stands still: all that it is besides its memory. */
export interface CpuStates {
  readonly cpus: readonly object[];
  /** Operations of each vCPU since the guest was born. */
  readonly operations: readonly number[];
}

/** What a vCPU's thread runs. */
export const VCPU_ENTRY = new URL("vcpu-thread.js", import.meta.url);

/** A vCPU that sleeps all the time would never come to a safepoint of its own. */
const MOST_THROTTLE_PERCENT = 99;

/** A guest that was stopped, what its vCPUs touched last if that was asked for, and when the last of them stood. */
export type Stand = CpuStates & { readonly touched: readonly number[]; readonly pausedMs: number };

/**
 * The vCPU threads of one guest, as the host's main thread drives them. Between `create` and `start` they
 * are parked.
 */
export class Guest {
  /** Microseconds of each fault. */
  readonly latencyUs: RecordableHistogram = createHistogram();
  private readonly vcpus: readonly VcpuThread[];
  private readonly operationTotal: WordTotal;
  private readonly blockedUs: WordTotal;
  private disposed = false;
  /** Why it cannot run any more; the first reason. */
  private cause: Failure | null = null;
  /** While it is paused. */
  private stand: Stand | undefined;
  /** The pause or resumption asked for last: one ends before the next begins. */
  private last: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly spec: GuestSpec,
    readonly ram: GuestRam,
    faults: FaultTables | null,
    private readonly failed: (failure: Failure) => void,
  ) {
    const starts = Array.from({ length: spec.vcpuCount }, (_, vcpu) => () => {
      const seat: VcpuSeat = {
        ram: ram.handle,
        vcpu,
        program: spec.program,
        programSha256: spec.programSha256,
        options: spec.options,
        faults,
        latencyUs: this.latencyUs,
      };
      return new VcpuThread(seat, (failure) => {
        this.lose(vcpu, failure);
      });
    });
    this.vcpus = allOrNone(starts);
    this.operationTotal = new WordTotal(ram.words, spec.vcpuCount, "OPERATIONS");
    this.blockedUs = new WordTotal(ram.words, spec.vcpuCount, "BLOCKED_US");
  }

  /**
   * Starts the threads and resolves when each has loaded the program. `failed` hears of the first vCPU of
   * the guest that throws or dies after that. A guest that is to arrive needs `faults`.
   * Rejects with what `loadProgram` throws, GUEST_SETTING or THREADS_SHORT.
   */
  static async create(
    spec: GuestSpec,
    ram: GuestRam,
    failed: (failure: Failure) => void,
    faults: FaultTables | null = null,
  ): Promise<Guest> {
    let isReady = false;
    const guest = new Guest(spec, ram, faults, (failure) => {
      if (isReady) failed(failure);
    });
    try {
      await Promise.all(guest.vcpus.map((thread) => thread.next("ready")));
      guest.assertSound();
    } catch (error) {
      await guest.dispose();
      throw error;
    }
    isReady = true;
    return guest;
  }

  /** Fills fresh memory; rejects with GUEST_THREW or GUEST_SETTING. */
  async boot(): Promise<CpuStates> {
    this.assertSound();
    const [first] = this.vcpus;
    const booted = await first!.ask({ type: "boot" }, "booted");
    if (booted.cpus.length !== this.spec.vcpuCount) {
      const text = `boot returned ${String(booted.cpus.length)} CPU states for ${String(this.spec.vcpuCount)} vCPUs`;
      throw new MigrationError({
        code: "GUEST_THREW",
        guest: this.spec.name,
        during: "boot",
        text,
      });
    }
    return { cpus: booted.cpus, operations: booted.cpus.map(() => 0) };
  }

  /** Counts operations from those of `states` on; before `start`, for a guest that was not born here. */
  adopt({ operations }: CpuStates): void {
    this.operationTotal.begin(operations);
  }

  /**
   * Runs from `states`; resolves with the time at which any vCPU had done its first operation, or slept in it by its own wish. Rejects with GUEST_THREW
   * or THREAD_DIED when one ends before that.
   */
  async start(states: CpuStates): Promise<number> {
    this.assertSound();
    const started = this.vcpus.map((thread, vcpu) =>
      thread.ask(
        {
          type: "start",
          cpu: states.cpus[vcpu] ?? {},
          operations: states.operations[vcpu] ?? 0,
        },
        "started",
      ),
    );
    return (await Promise.race(started)).firstOperationMs;
  }

  /**
   * Stops every vCPU of a running guest at a safepoint; for a guest that stands already, resolves with how
   * it stands. Each vCPU goes one operation further if it shall tell what it `touched`, unless its operations are
   * long. Rejects with what ended a vCPU.
   */
  pause({ watch = false } = {}): Promise<Stand> {
    return this.inTurn(async () => (this.stand ??= await this.stop(watch)));
  }

  /** Lets a paused guest go on, after the pause that was asked for before. Does nothing to one that runs. */
  resume(): Promise<void> {
    return this.inTurn(() => {
      if (this.stand === undefined) return;
      this.stand = undefined;
      this.assertSound();
      this.nextRequest();
    });
  }

  /** Takes `percent` of each vCPU's time from now on, 0 to 99; those that sleep for it look again. */
  throttle(percent: number): void {
    if (!Number.isInteger(percent) || percent < 0 || percent > MOST_THROTTLE_PERCENT) {
      throw new RangeError(`no guest can be throttled by ${String(percent)} %`);
    }
    const { words } = this.ram;
    if (Atomics.exchange(words, GUEST_WORDS.THROTTLE, percent) === percent) return;
    this.vcpus.forEach((_, vcpu) => Atomics.notify(words, this.word(vcpu, "REQUEST")));
  }

  /** Operations of all vCPUs since birth. To be read at least once a second while the guest runs. */
  operations(): number {
    return this.operationTotal.look();
  }

  /**
   * Accesses that found their page missing, the milliseconds that vCPUs waited, prepulled pages touched. To be read at least
   * once an hour while pages are missing.
   */
  faults() {
    const total = (name: keyof typeof VCPU_WORDS) =>
      sum(this.vcpus.map((_, vcpu) => Atomics.load(this.ram.words, this.word(vcpu, name)) >>> 0));
    return {
      count: total("FAULTS"),
      blockedMs: this.blockedUs.look() / 1000,
      prepullHits: total("PREPULL_HITS"),
    };
  }

  /** Ends the threads, wherever they are. Idempotent. */
  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await Promise.all(this.vcpus.map((thread) => thread.terminate()));
  }

  private async stop(watch: boolean): Promise<Stand> {
    this.assertSound();
    Atomics.store(this.ram.words, GUEST_WORDS.WATCH, watch ? 1 : 0);
    const paused = this.vcpus.map((thread) => thread.next("paused"));
    this.nextRequest();
    const all = await Promise.all(paused);
    return {
      cpus: all.map((it) => it.cpu),
      operations: all.map((it) => it.operations),
      touched: all.flatMap((it) => it.touched),
      pausedMs: Math.max(...all.map((it) => it.pausedMs)),
    };
  }

  private inTurn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  /** Throws why the guest cannot run any more. */
  private assertSound(): void {
    if (this.cause !== null) throw new MigrationError(this.cause);
  }

  /**
   * One vCPU is gone: the others shall stop at their next safepoint, and whoever waits for any of them need not
   * wait longer.
   */
  private lose(gone: number, failure: Failure): void {
    stopAll(this.ram, gone);
    if (this.cause !== null) return;
    this.cause = failure;
    for (const thread of this.vcpus) thread.reject(failure);
    this.failed(failure);
  }

  /** Pause and run alternate: see `isPause`. */
  private nextRequest(): void {
    this.vcpus.forEach((_, vcpu) => {
      const at = this.word(vcpu, "REQUEST");
      Atomics.add(this.ram.words, at, 1);
      Atomics.notify(this.ram.words, at);
    });
  }

  private word(vcpu: number, name: keyof typeof VCPU_WORDS): number {
    return vcpuWords(vcpu) + VCPU_WORDS[name];
  }
}

type ReportOf<Type extends VcpuReport["type"]> = Extract<VcpuReport, { type: Type }>;

/** One worker, and the reports that somebody waits for. */
class VcpuThread {
  private readonly worker: Worker;
  private readonly waiting = new Map<
    VcpuReport["type"],
    { resolve: (report: VcpuReport) => void; reject: (error: Error) => void }
  >();
  private ended = false;

  constructor(
    seat: VcpuSeat,
    private readonly failed: (failure: Failure) => void,
  ) {
    this.worker = startThread(VCPU_ENTRY, seat);
    this.worker.on("message", (report: VcpuReport) => {
      this.take(report);
    });
    this.worker.on("error", (error) => {
      this.fail({ code: "THREAD_DIED", thread: "vCPU", cause: error.message });
    });
    this.worker.on("exit", (code) => {
      this.fail({ code: "THREAD_DIED", thread: "vCPU", cause: `exit code ${String(code)}` });
    });
  }

  /** Resolves with the next report of this type, unless `reject` comes first. */
  next<Type extends VcpuReport["type"]>(type: Type): Promise<ReportOf<Type>> {
    return new Promise((resolve, reject) => {
      this.waiting.set(type, { resolve: resolve as (report: VcpuReport) => void, reject });
    });
  }

  ask<Type extends VcpuReport["type"]>(command: VcpuCommand, type: Type): Promise<ReportOf<Type>> {
    const answer = this.next(type);
    this.worker.postMessage(command);
    return answer;
  }

  async terminate(): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    const exit = once(this.worker, "exit");
    await this.worker.terminate();
    await exit;
  }

  private take(report: VcpuReport): void {
    if (report.type === "failed") {
      this.fail(report.failure);
      return;
    }
    this.waiting.get(report.type)?.resolve(report);
    this.waiting.delete(report.type);
  }

  /** Tells those who wait. */
  reject(failure: Failure): void {
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new MigrationError(failure));
  }

  private fail(failure: Failure): void {
    if (this.ended) return;
    this.ended = true;
    this.failed(failure);
    void this.worker.terminate();
  }
}

/**
 * Nobody may wait for the vCPU that is gone, so it counts as quiescent, which it is: its thread has left the
 * program.
 */
function stopAll(ram: GuestRam, gone: number): void {
  const at = vcpuWords(gone) + VCPU_WORDS.ACKNOWLEDGED;
  Atomics.store(ram.words, at, QUIESCENT);
  Atomics.notify(ram.words, at);
  for (let vcpu = 0; vcpu < ram.vcpuCount; vcpu += 1) {
    Atomics.or(ram.words, vcpuWords(vcpu) + VCPU_WORDS.REQUEST, 1);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
