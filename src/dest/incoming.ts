import type { Clock } from "../clock.js";
import { type Failure, failureOf } from "../failure.js";
import { Guest, type GuestSpec } from "../guest/guest.js";
import { type ThroughputBin, ThroughputRecorder } from "../guest/throughput.js";
import { PageTables } from "../memory/page-tables.js";
import type { GuestRam } from "../memory/ram.js";
import { REPORT_TIMEOUT_MS } from "../protocol/limits.js";
import { type Message, type MessageBody, peerFailure } from "../protocol/messages.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Report } from "../protocol/report.js";
import type { ControlConnection } from "../transport/control-connection.js";
import { ArrivalTables } from "./arrival-tables.js";
import { ChannelSet } from "./channel-set.js";
import {
  advance,
  type DestEffect,
  type DestEvent,
  type DestPhase,
  stageOf,
  wirePhase,
} from "./phase.js";
import { Publisher } from "./publisher.js";
import { install, readSwitchover, rehearse, type Switchover } from "./take-over.js";

/**
 * A first operation that takes longer than this may be waiting for many pages: the source is told that the guest runs, so that it
 * begins to push them, and does not take this host for one that hangs.
 */
const FIRST_OPERATION_PATIENCE_MS = 1000;
/** After the last page the guest is watched this long, to see it back at speed. */
const OBSERVE_MS = 1000;
const PROGRESS_INTERVAL_MS = 200;
/** Of a long stage three the report keeps the first bins; see the limit of `summary`. */
const MAX_SUMMARY_BINS = 50_000;

/** What the host is told, and what it does for an incoming migration. */
export interface IncomingHost {
  readonly clock: Clock;
  /** That the guest may be handed over from now on, or that it was; see host/journal.ts. */
  journal(kind: "prepared" | "running"): void;
  phaseChanged(phase: DestPhase): void;
  progressed(progress: StageProgress): void;
  guestFailed(failure: Failure): void;
  reported(report: Report): void;
}

/** One incoming migration: performs what `advance` (phase.ts) decides. */
export class Incoming {
  phase: DestPhase = { name: "receiving", preparing: false };
  readonly tables: ArrivalTables;
  guest: Guest | undefined;
  throughput: ThroughputRecorder | undefined;
  /** Once it has ended: resolves when nothing of it moves any more. */
  closed: Promise<void> = Promise.resolve();
  private readonly channels: ChannelSet;
  private readonly pageTables: PageTables;
  private switchover: Switchover | undefined;
  private receivedMs = 0;
  /** Null before the guest's first operation here. */
  private firstOperationMs: number | null = null;
  private publisher: Publisher | undefined;
  private dirtyPages = 0;
  private readonly progressTimer: NodeJS.Timeout;
  /** The report is not awaited for longer: the guest is whole without it. */
  private patience: NodeJS.Timeout | undefined;

  constructor(
    private readonly hello: MessageBody<"hello">,
    readonly spec: GuestSpec,
    readonly ram: GuestRam,
    private readonly control: ControlConnection,
    private readonly host: IncomingHost,
  ) {
    this.pageTables = new PageTables(ram);
    this.tables = ArrivalTables.create(ram.pageCount, hello.channels, hello.checksums);
    this.channels = new ChannelSet(
      hello.channels,
      spec.vcpuCount,
      { ram: ram.handle, tables: this.tables.handle },
      {
        whole: () => void this.finishIfWhole(),
        failed: (failure) => {
          // With every page here, only the control connection still matters.
          if (this.phase.name !== "observing") this.happen({ type: "failed", failure });
        },
      },
    );
    this.progressTimer = setInterval(() => {
      this.tick();
    }, PROGRESS_INTERVAL_MS);
    this.progressTimer.unref();
    control.attend({
      phase: () => wirePhase(this.phase),
      message: (message) => {
        this.take(message);
      },
      lost: (failure) => {
        this.happen({ type: "failed", failure });
      },
    });
  }

  get migrationId(): string {
    return this.hello.migrationId;
  }

  get session(): Uint8Array {
    return this.hello.session;
  }

  get generation(): number {
    return this.hello.generation;
  }

  /** Of the guest's memory, what has not come. Pages that are zero never do, and need none. */
  get missingBytes(): number {
    return Math.max(0, this.ram.byteLength - this.tables.counters.read("bytes"));
  }

  /** Throws CHANNEL_UNKNOWN or CHANNEL_TAKEN. */
  checkChannel(channel: string): void {
    this.channels.check(channel);
  }

  /** Gives descriptor `fd` to whoever a channel that passed `checkChannel` belongs to. */
  adoptChannel(channel: string, fd: number): void {
    this.channels.adopt(channel, fd);
  }

  /** Whether this host owns the guest: the answer to `ask`. */
  get hasTakenOver(): boolean {
    const { phase } = this;
    if (phase.name === "ended") return phase.guestIsHere;
    return phase.name !== "receiving" && phase.name !== "ready";
  }

  /** Ends the migration from this side; the guest that is already here stays. */
  abandon(failure: Failure): void {
    this.happen({ type: "failed", failure });
  }

  private take(message: Message): void {
    switch (message.name) {
      case "prepare":
        this.happen({ type: "prepare" });
        break;
      case "switchover":
        this.takeSwitchover(message.body);
        break;
      case "cancel":
        this.happen({ type: "failed", failure: { code: "CANCELLED", by: message.body.by } });
        break;
      case "failed":
        this.happen({ type: "failed", failure: peerFailure(message.body) });
        break;
      case "report":
        this.host.reported(message.body.report);
        this.happen({ type: "reported" });
        break;
      default:
        // `decodeMessage` lets nothing else through to a destination.
        break;
    }
  }

  private happen(event: DestEvent): void {
    const [next, effects] = advance(this.phase, event);
    const changed = next.name !== this.phase.name;
    this.phase = next;
    // Effects first: in the switchover the guest waits for them, and nobody waits for the news.
    for (const effect of effects) this.perform(effect);
    if (changed) this.host.phaseChanged(next);
  }

  private perform(effect: DestEffect): void {
    switch (effect.type) {
      case "startVcpus":
        void this.attempt(() => this.startVcpus());
        break;
      case "sayPrepared":
        this.control.send("prepared", {});
        break;
      case "takeOver":
        void this.attempt(() => this.takeOver());
        break;
      case "sayRunning":
        this.sayRunning();
        break;
      case "sayComplete":
        this.sayComplete();
        break;
      case "free":
        void this.free();
        break;
      case "close":
        this.close(effect.failure);
        break;
    }
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.happen({ type: "failed", failure: failureOf(error) });
    }
  }

  private async startVcpus(): Promise<void> {
    const { requested, prepulled } = this.tables.handle;
    const guest = await Guest.create(
      this.spec,
      this.ram,
      (failure) => {
        this.loseGuest(failure);
      },
      { lines: this.channels.faultLines.words, requested, prepulled },
    );
    if (this.phase.name === "ended") {
      // The source left meanwhile, and `free` found no guest.
      await guest.dispose();
      return;
    }
    this.guest = guest;
    rehearse();
    this.host.journal("prepared");
    this.happen({ type: "prepared" });
  }

  /** Until the handover the guest runs on the source; here there are only threads that cannot take it. */
  private loseGuest(failure: Failure): void {
    if (this.hasTakenOver) this.host.guestFailed(failure);
    else this.happen({ type: "failed", failure });
  }

  /**
   * The point of no return: everything that can be wrong is found before it, so that a source that asks is
   * told the truth.
   */
  private takeSwitchover(body: MessageBody<"switchover">): void {
    try {
      const receivedMs = this.host.clock.nowMs();
      const { guest } = this;
      // In this phase the vCPU threads are there.
      if (guest === undefined)
        throw new RangeError("a switchover came before the vCPUs were ready");
      this.switchover = readSwitchover(body, this.generation, this.ram);
      this.receivedMs = receivedMs;
      guest.adopt(this.switchover.states);
      this.host.journal("running");
      this.throughput = new ThroughputRecorder(() => guest.operations(), this.host.clock);
      this.happen({ type: "switchover", generation: body.generation });
    } catch (error) {
      this.happen({ type: "failed", failure: failureOf(error) });
    }
  }

  /** Stage two, as short as can be. The guest's memory is ours alone until the threads start. */
  private async takeOver(): Promise<void> {
    const { switchover, ram, guest } = this;
    if (switchover === undefined || guest === undefined) return;
    const missing = install(switchover, this.pageTables, this.tables);
    this.dirtyPages = missing;
    // Where no contents came in a pass everything is missing, and nobody knows what was written.
    const areHot = this.tables.counters.read("stageOnePages") > 0;
    this.publisher = new Publisher(ram, switchover.dirty, this.tables.prepulled, areHot);
    // The vCPUs see all of the above: they are started by a message that is sent after it.
    const started = guest.start(switchover.states).then((ms) => {
      this.firstOperationMs = ms;
    });
    // What ends a vCPU after that, `loseGuest` hears.
    started.catch(() => undefined);
    await Promise.race([started, after(FIRST_OPERATION_PATIENCE_MS)]);
    // A migration that is stranded by now may have closed its channels: nothing will come to be published.
    if (this.phase.name === "resuming") this.publisher.start();
    this.happen({ type: "started" });
    // The last page may have come already: what a vCPU waits for in its first operation is sent at once.
    await this.finishIfWhole();
  }

  private sayRunning(): void {
    this.control.send("running", {
      generation: this.generation,
      receivedMs: this.receivedMs,
      firstOperationMs: this.firstOperationMs,
    });
  }

  private tick(): void {
    const stage = stageOf(this.phase);
    if (stage === null) return;
    const { counters, missingPages } = this.tables;
    const faults = this.guest?.faults().count ?? 0;
    const operationsPerSecond = this.throughput?.recentRate() ?? 0;
    const isHere = stage === 3;
    this.host.progressed({
      stage,
      pagesDone: isHere
        ? this.dirtyPages - missingPages
        : Math.min(counters.read("pagesPassed"), this.ram.pageCount),
      pagesTotal: isHere ? this.dirtyPages : this.ram.pageCount,
      bytes: counters.read("bytes"),
      guestOpsPerSecond: isHere ? operationsPerSecond : null,
      faults,
    });
    if (isHere) this.control.send("progress", { missingPages, operationsPerSecond, faults });
  }

  /** To be called whenever the guest may have become whole. Idempotent. */
  private async finishIfWhole(): Promise<void> {
    // Before the guest has started its threads are not ours to publish to: `takeOver` looks again.
    if (this.phase.name === "resuming" || this.tables.missingPages > 0) return;
    await this.publisher?.finish();
    this.happen({ type: "whole" });
  }

  private sayComplete(): void {
    clearInterval(this.progressTimer);
    const { counters } = this.tables;
    const faults = this.guest?.faults() ?? { count: 0, blockedMs: 0, prepullHits: 0 };
    this.control.send("complete", {
      completedMs: this.host.clock.nowMs(),
      pulled: counters.read("pulledPages"),
      prepulled: counters.read("prepulledPages"),
      pushed: counters.read("pushedPages"),
      unchanged: counters.read("unchangedPages"),
      verifiedPages: counters.read("verifiedPages"),
      mismatches: counters.read("mismatches"),
      faults: faults.count,
      networkFaults: this.tables.requestedCount(),
      prepullHits: faults.prepullHits,
      blockedMs: faults.blockedMs,
    });
    const timer = setTimeout(() => {
      this.sendSummary();
      this.patience = setTimeout(() => {
        const awaited = "the report";
        const waitedMs = REPORT_TIMEOUT_MS;
        this.happen({ type: "failed", failure: { code: "PEER_STALLED", awaited, waitedMs } });
      }, REPORT_TIMEOUT_MS);
      this.patience.unref();
    }, OBSERVE_MS);
    timer.unref();
  }

  private sendSummary(): void {
    const latency = this.guest?.latencyUs;
    const measured = latency !== undefined && latency.count > 0;
    this.control.send("summary", {
      firstOperationMs: this.firstOperationMs,
      latencyUs: {
        p50: measured ? latency.percentile(50) : 0,
        p90: measured ? latency.percentile(90) : 0,
        p99: measured ? latency.percentile(99) : 0,
        max: measured ? latency.max : 0,
      },
      bins: this.bins().map(([startMs, operations]) => [startMs, operations]),
    });
  }

  private bins(): readonly ThroughputBin[] {
    // From the switchover on: a bin that the first operation is in may have begun long before it.
    const bins = this.throughput?.since(this.receivedMs) ?? [];
    return bins.slice(0, MAX_SUMMARY_BINS);
  }

  private async free(): Promise<void> {
    await this.guest?.dispose();
    this.guest = undefined;
  }

  private close(failure: Failure | null): void {
    clearInterval(this.progressTimer);
    clearTimeout(this.patience);
    const closed = failure === null ? this.control.close() : this.control.fail(failure);
    // The channels last: a channel that breaks before its reason is known would be taken for the reason.
    this.closed = closed.then(() => this.closeChannels());
  }

  private async closeChannels(): Promise<void> {
    await this.channels.close();
    // Nothing comes any more. What came last is shown to the guest, and may have been all that it lacked.
    await this.publisher?.finish();
    await this.finishIfWhole();
  }
}

/** Resolves then, unless the process has ended. */
function after(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
