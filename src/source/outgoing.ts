import { type Failure, failureOf } from "../failure.js";
import type { Guest, Stand } from "../guest/guest.js";
import type { ThroughputRecorder } from "../guest/throughput.js";
import type { PageBitmap } from "../memory/bitmap.js";
import { REPORT_TIMEOUT_MS, RUNNING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "../protocol/limits.js";
import { type Message, peerFailure } from "../protocol/messages.js";
import { connect } from "../transport/connect.js";
import { ControlConnection } from "../transport/control-connection.js";
import { askOwner } from "./ask.js";
import { ChannelPool } from "./channel-pool.js";
import { Copier } from "./copier.js";
import { packStates } from "./cpu-states.js";
import { DirtySet } from "./dirty-set.js";
import type { HeatClock } from "./heat-clock.js";
import { Introduction } from "./introduction.js";
import { Measurements } from "./measurements.js";
import { MigrationTables } from "./migration-tables.js";
import type { OutgoingHost, OutgoingOptions } from "./outgoing-options.js";
import {
  advance,
  type SourceEffect,
  type SourceEvent,
  type SourcePhase,
  stageOf,
  wirePhase,
} from "./phase.js";
import { RateLimit } from "./rate-limit.js";

const PROGRESS_INTERVAL_MS = 200;
/** Pages that go before any that a vCPU asks for: on a slow link that one waits behind them. */
const MAX_PAGES_AHEAD = 8;

/** One outgoing migration: performs what `advance` (phase.ts) decides. */
export class Outgoing {
  phase: SourcePhase = { name: "greeting" };
  private readonly introduction: Introduction;
  private readonly tables: MigrationTables;
  private readonly dirtySet: DirtySet;
  private readonly measured: Measurements;
  private control: ControlConnection | undefined;
  private readonly pool: ChannelPool;
  private readonly copier: Copier;
  private dirty: PageBitmap | undefined;
  private pausing: Promise<void> = Promise.resolve();
  private paused: Stand | undefined;
  private states: readonly Uint8Array<ArrayBuffer>[] = [];
  /** What is awaited now is not awaited for longer. */
  private patience: NodeJS.Timeout | undefined;
  private progressTimer: NodeJS.Timeout | undefined;

  constructor(
    readonly options: OutgoingOptions,
    private readonly guest: Guest,
    throughput: ThroughputRecorder,
    heat: HeatClock,
    private readonly host: OutgoingHost,
  ) {
    this.introduction = new Introduction(options, guest.spec);
    const { pageCount } = guest.ram;
    this.tables = MigrationTables.create(pageCount, RateLimit.createState());
    this.dirtySet = new DirtySet(guest.ram, this.tables);
    this.pool = this.createPool();
    this.measured = new Measurements(host.clock.nowMs(), guest, throughput, this.tables);
    this.copier = new Copier({
      policy: options.policy,
      guest,
      tables: this.tables,
      dirtySet: this.dirtySet,
      pool: this.pool,
      heat,
      clock: host.clock,
      roundTripMs: () => this.control?.clocks.roundTripMs ?? Infinity,
    });
  }

  get guestId(): string {
    return this.guest.spec.guestId;
  }

  /** Connects and says hello; all else follows from what happens. */
  start(): void {
    this.host.phaseChanged(this.phase);
    void this.attempt(() => this.greet());
  }

  /** Ends the migration while the guest has not been handed over; false when it is too late. */
  cancel(by: string): boolean {
    this.happen({ type: "cancel", by });
    const { phase } = this;
    const isOver = phase.name === "ended" || phase.name === "keeping";
    return isOver && phase.outcome === "cancelled";
  }

  /** What leaves cannot run any more. */
  guestCrashed(failure: Failure): void {
    this.happen({ type: "crashed", failure });
  }

  /** The host is closing: the migration cannot go on. */
  abandon(failure: Failure): void {
    this.happen({ type: "failed", failure });
  }

  private async greet(): Promise<void> {
    const socket = await connect(this.options.to);
    if (this.phase.name === "ended") {
      socket.destroy();
      return;
    }
    const control = new ControlConnection(socket, "dest", this.host.clock);
    this.control = control;
    control.attend({
      phase: () => wirePhase(this.phase),
      message: (message) => {
        this.take(message);
      },
      lost: (failure) => {
        this.happen({ type: "failed", failure });
      },
    });
    control.send("hello", this.introduction.hello());
  }

  private take(message: Message): void {
    const { clocks } = this.control!;
    switch (message.name) {
      case "welcome":
        this.introduction.checkVersion(message.body.version);
        this.happen({ type: "welcomed" });
        break;
      case "prepared":
        this.happen({ type: "prepared" });
        break;
      case "running": {
        this.introduction.checkGeneration(message.body.generation);
        this.measured.noteArrival(clocks, message.body);
        this.happen({ type: "running" });
        break;
      }
      case "progress":
        this.measured.remote = message.body;
        break;
      case "complete":
        this.measured.noteComplete(clocks, message.body);
        this.happen({ type: "complete" });
        break;
      case "summary":
        this.measured.noteSummary(clocks, message.body);
        this.happen({ type: "summarized" });
        break;
      case "failed":
        this.happen({ type: "failed", failure: peerFailure(message.body) });
        break;
      default:
        // `decodeMessage` lets nothing else through to a source.
        break;
    }
  }

  private happen(event: SourceEvent): void {
    const [next, effects] = advance(this.phase, event);
    const changed = next !== this.phase && next.name !== this.phase.name;
    this.phase = next;
    if (changed) clearTimeout(this.patience);
    if (changed) this.host.phaseChanged(next);
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: SourceEffect): void {
    switch (effect.type) {
      case "copy":
        void this.attempt(() => this.copy());
        break;
      case "copyAgain":
        void this.attempt(() => this.pass());
        break;
      case "pause":
        this.pausing = this.attempt(() => this.pause());
        break;
      case "sendRest":
        void this.attempt(() => this.sendRest());
        break;
      case "sendSwitchover":
        this.sendSwitchover();
        break;
      case "keepGuest":
        void this.keepGuest();
        break;
      case "push":
        this.push();
        break;
      case "release":
        this.awaitNextPhase("to say what the guest experienced", REPORT_TIMEOUT_MS);
        void this.host.release();
        break;
      case "ask":
        void this.ask();
        break;
      case "close":
        this.close(effect.cause);
        break;
      case "report":
        this.report();
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

  private createPool(): ChannelPool {
    const { options, guest, tables } = this;
    return new ChannelPool(
      options.channels,
      guest.spec.vcpuCount,
      {
        to: options.to,
        ram: guest.ram.handle,
        tables: tables.handle,
        rates: { pass: options.request.maxBandwidth ?? undefined, drain: this.drainRate },
        tuning: options.request.tuning,
      },
      (channel) => this.introduction.attach(channel),
      (failure) => {
        // The destination has everything by then, and closes what it needs no more.
        if (this.phase.name !== "observing") this.happen({ type: "failed", failure });
      },
    );
  }

  /** Stage one. The destination starts its vCPU threads beside the first pass. */
  private async copy(): Promise<void> {
    this.progressTimer = setInterval(() => {
      this.tick();
    }, PROGRESS_INTERVAL_MS);
    // Connecting has a limit of its own.
    this.awaitNextPhase("to take its channels", 2 * STALL_TIMEOUT_MS);
    await this.pool.connect();
    clearTimeout(this.patience);
    // Now that pages can flow: threads that start take cores from the connecting.
    this.control?.send("prepare", {});
    this.measured.note({ passStartMs: this.host.clock.nowMs() });
    await this.pass();
  }

  private async pass(): Promise<void> {
    const again = await this.copier.pass();
    if (this.copier.log.rounds.length > 0) {
      this.measured.note({ passEndMs: this.host.clock.nowMs() });
    }
    this.happen({ type: "passEnded", again });
    // Still: then only the destination keeps it there.
    const isWaiting = this.phase.name === "copying" && !again;
    if (isWaiting) this.awaitNextPhase("to be prepared for the guest", STALL_TIMEOUT_MS);
  }

  /** Stage two begins: the journal knows before the guest stops, so the pause does not wait for the disk. */
  private async pause(): Promise<void> {
    const { name } = this.guest.spec;
    this.dirtySet.rehearse();
    packStates(name, [{}]); // or its code would be compiled while the guest stands still
    this.host.journalHandover(this.options.generation);
    this.measured.note({ pauseMs: this.host.clock.nowMs() });
    const stand = await this.guest.pause({ watch: this.options.policy.mayLeavePages });
    this.paused = stand;
    this.measured.note({ stoodMs: stand.pausedMs });
    this.states = packStates(name, stand.cpus);
    this.copier.release();
    this.happen({ type: "paused", sendRest: this.copier.settle() });
  }

  private async sendRest(): Promise<void> {
    await this.copier.rest();
    this.measured.note({ restSentMs: this.host.clock.nowMs() });
    this.happen({ type: "restSent" });
  }

  private sendSwitchover(): void {
    const { paused } = this;
    if (paused === undefined) return;
    const dirty = this.dirtySet.collect();
    this.tables.allowRequests();
    // The thread of requests has a core of its own while the guest stands still, and this one may lose its own to the
    // destination as soon as that has the message.
    const ahead = paused.touched.filter((page) => dirty.has(page)).slice(0, MAX_PAGES_AHEAD);
    if (ahead.length > 0) this.pool.sendAhead(ahead);
    // Before it is sent: the destination may have it before this thread has a core again.
    this.measured.note({ sentMs: this.host.clock.nowMs() });
    this.control?.send("switchover", {
      generation: this.options.generation,
      cpus: [...this.states],
      operations: [...paused.operations],
      dirty: dirty.toBytes(),
    });
    this.measured.dirtyPages = dirty.count();
    this.dirty = dirty;
    this.awaitNextPhase("to say that the guest runs", RUNNING_TIMEOUT_MS);
  }

  /** Gives the destination up that keeps the migration in its phase for so long. */
  private awaitNextPhase(awaited: string, waitedMs: number): void {
    clearTimeout(this.patience);
    this.patience = setTimeout(() => {
      this.happen({ type: "failed", failure: { code: "PEER_STALLED", awaited, waitedMs } });
    }, waitedMs);
  }

  /**
   * Stage three. It begins only now that the guest runs there: pushing takes a core, and so do the first faults,
   * for which the guest's first operation waits.
   */
  private push(): void {
    if (this.dirty === undefined) return;
    this.tables.planned.assign(this.dirty);
    this.pool.push();
  }

  private get drainRate(): number | undefined {
    const { maxBandwidth, maxPostcopyBandwidth } = this.options.request;
    return maxPostcopyBandwidth ?? maxBandwidth ?? undefined;
  }

  /** The guest stays: lets it go on, once it has really stopped. */
  private async keepGuest(): Promise<void> {
    await this.pausing;
    if (this.paused !== undefined) {
      this.host.journalKept(this.options.generation);
      // A guest that has crashed stays where it stands.
      await this.guest.resume().catch(failureOf);
    }
    this.happen({ type: "kept" });
  }

  private async ask(): Promise<void> {
    const { to, askMs } = this.options;
    const inquiry = await askOwner(to, this.introduction.ask(), askMs, this.host.clock);
    this.happen({ type: "asked", inquiry });
  }

  private tick(): void {
    const stage = stageOf(this.phase);
    if (stage !== null) this.host.progressed(this.measured.progress(stage, this.copier));
  }

  private report(): void {
    clearInterval(this.progressTimer);
    if (this.phase.name !== "ended") return;
    this.copier.release();
    this.measured.note({ endMs: this.host.clock.nowMs() });
    const report = this.measured.report(this.options, this.phase, this.copier, this.control);
    if (report.outcome === "completed") this.control?.send("report", { report });
    this.host.reported(report);
  }

  private close(cause: Failure | null): void {
    clearInterval(this.progressTimer);
    clearTimeout(this.patience);
    // The channels last: a channel that breaks before its reason is known would be taken for the reason.
    void this.closeControl(cause).then(() => this.pool.close());
  }

  private async closeControl(cause: Failure | null): Promise<void> {
    const wasCancelled = this.phase.name === "ended" && this.phase.outcome === "cancelled";
    if (cause === null) await this.control?.close();
    else if (wasCancelled && cause.code === "CANCELLED") {
      this.control?.send("cancel", { by: cause.by });
      await this.control?.close();
    } else await this.control?.fail(cause);
  }
}
