import { once } from "node:events";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { Worker } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import type { GuestRam } from "../memory/ram.js";
import { GUEST_WORDS, QUIESCENT, VCPU_WORDS, vcpuWords } from "../memory/words.js";
import type { GuestOptions } from "./program.js";
import type { FaultLine, VcpuCommand, VcpuReport, VcpuSeat } from "./vcpu-contract.js";

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

/** A vCPU that sleeps all the time would never come to a safepoint of its own. */
const MOST_THROTTLE_PERCENT = 99;

/**
 * The vCPU threads of one guest, as the host's main thread drives them. Between `create` and `start` they
 * are parked.
 */
export class Guest {
  private readonly lastSeen: number[];
  private counted = 0;
  private stopped = false;

  private constructor(
    readonly spec: GuestSpec,
    readonly ram: GuestRam,
    /** Microseconds of each fault. */
    readonly latencyUs: RecordableHistogram,
    private readonly vcpus: readonly VcpuThread[],
  ) {
    this.lastSeen = vcpus.map(() => 0);
  }

  /**
   * Starts the threads and resolves when each has loaded the program. `failed` hears of a guest that
   * throws or a thread that dies, once it was created. `faultLines` has one for each vCPU of a guest that is to
   * arrive. Rejects with what `loadProgram` throws, or GUEST_SETTING.
   */
  static async create(
    spec: GuestSpec,
    ram: GuestRam,
    failed: (failure: Failure) => void,
    faultLines: readonly FaultLine[] = [],
  ): Promise<Guest> {
    const latencyUs = createHistogram();
    const threads = Array.from({ length: spec.vcpuCount }, (_, vcpu) => {
      const seat: VcpuSeat = {
        ram: ram.handle,
        vcpu,
        program: spec.program,
        options: spec.options,
        faults: faultLines[vcpu] ?? null,
        latencyUs,
      };
      return new VcpuThread(seat, (failure) => {
        stopAll(ram, vcpu);
        failed(failure);
      });
    });
    try {
      await Promise.all(threads.map((thread) => thread.next("ready")));
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.terminate()));
      throw error;
    }
    return new Guest(spec, ram, latencyUs, threads);
  }

  /** Fills fresh memory; rejects with GUEST_THREW or GUEST_SETTING. */
  async boot(): Promise<CpuStates> {
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
    this.counted = sum(operations);
    this.vcpus.forEach((_, vcpu) => {
      const count = (operations[vcpu] ?? 0) | 0;
      this.lastSeen[vcpu] = count;
      Atomics.store(this.ram.words, this.word(vcpu, "OPERATIONS"), count);
    });
  }

  /**
   * Runs from `states`; resolves with the time of the first operation of any vCPU. Rejects with GUEST_THREW
   * when none comes as far.
   */
  async start(states: CpuStates): Promise<number> {
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
    try {
      return (await Promise.any(started)).firstOperationMs;
    } catch (error) {
      // Each vCPU has a reason of its own; the first will do.
      throw error instanceof AggregateError ? error.errors[0] : error;
    }
  }

  /**
   * Stops every vCPU of a running guest at a safepoint; resolves with the time when the last one stood.
   */
  async pause(): Promise<CpuStates & { readonly pausedMs: number }> {
    const paused = this.vcpus.map((thread) => thread.next("paused"));
    this.nextRequest();
    const all = await Promise.all(paused);
    return {
      cpus: all.map((it) => it.cpu),
      operations: all.map((it) => it.operations),
      pausedMs: Math.max(...all.map((it) => it.pausedMs)),
    };
  }

  /** Lets a paused guest go on. For a guest whose `pause` has resolved. */
  resume(): void {
    this.nextRequest();
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
    this.vcpus.forEach((_, vcpu) => {
      const now = Atomics.load(this.ram.words, this.word(vcpu, "OPERATIONS"));
      this.counted += (now - (this.lastSeen[vcpu] ?? 0)) >>> 0;
      this.lastSeen[vcpu] = now;
    });
    return this.counted;
  }

  /** Accesses that found their page missing, the milliseconds that vCPUs waited, prepulled pages touched. */
  faults() {
    const total = (name: keyof typeof VCPU_WORDS) =>
      sum(this.vcpus.map((_, vcpu) => Atomics.load(this.ram.words, this.word(vcpu, name)) >>> 0));
    return {
      count: total("FAULTS"),
      blockedMs: total("BLOCKED_US") / 1000,
      prepullHits: total("PREPULL_HITS"),
    };
  }

  /** Ends the threads, wherever they are. Idempotent. */
  async dispose(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    await Promise.all(this.vcpus.map((thread) => thread.terminate()));
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
    this.worker = new Worker(new URL("vcpu-thread.js", import.meta.url), {
      workerData: seat,
      transferList: seat.faults === null ? [] : [seat.faults.doorbell],
      name: `vcpu-${String(seat.vcpu)}`,
    });
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

  /** Resolves with the next report of this type; rejects when the thread fails first. */
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

  /** Tells those who wait, and whoever owns the guest. */
  private fail(failure: Failure): void {
    if (this.ended) return;
    this.ended = true;
    // Whoever gives birth to the guest tells of its failure.
    const isBirth = this.waiting.has("ready") || this.waiting.has("booted");
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new MigrationError(failure));
    if (!isBirth) this.failed(failure);
    void this.worker.terminate();
  }
}

/**
 * One vCPU is gone: the others shall stop at their next safepoint. Nobody may wait for the one that is gone, so it
 * counts as quiescent, which it is: its thread has left the program.
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
