import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.js";
import { type Failure, failureOf } from "../failure.js";
import type { CpuStates, Guest } from "../guest/guest.js";
import type { ThroughputBin, ThroughputRecorder } from "../guest/throughput.js";
import { PageBitmap } from "../memory/bitmap.js";
import { everyPage, PAGE_BYTES } from "../memory/geometry.js";
import { openEpoch } from "../memory/epoch.js";
import { EpochTracker } from "../memory/tracker.js";
import { packCpu } from "../protocol/codec.js";
import type { Message, MessageBody } from "../protocol/messages.js";
import type { Report } from "../protocol/report.js";
import { PROTOCOL_VERSION } from "../protocol/version.js";
import type { Address } from "../transport/address.js";
import { connect } from "../transport/connect.js";
import { ControlConnection } from "../transport/control-connection.js";
import { askOwner } from "./ask.js";
import { ChannelPool } from "./channel-pool.js";
import { Drain } from "./drain.js";
import type { EpochOpening } from "./epoch-history.js";
import { MigrationTables } from "./migration-tables.js";
import {
  advance,
  type SourceEffect,
  type SourceEvent,
  type SourcePhase,
  stageOf,
  wirePhase,
} from "./phase.js";
import { pagesPerFrame, RateLimit } from "./rate-limit.js";
import { BEFORE_MS, makeReport, type MigrationTimes } from "./report.js";
import type { Tuning } from "./tuning.js";

const PROGRESS_INTERVAL_MS = 200;
/** Before the pass, epochs are opened this often, so that its first chunks know which pages are hot. */
const PROBE_INTERVAL_MS = 10;

/** What the user asks of one migration. */
export interface OutgoingOptions {
  readonly migrationId: string;
  readonly to: Address;
  readonly token: string | null;
  readonly generation: number;
  readonly channels: number;
  /** Bytes per second over all channels; undefined is unlimited. */
  readonly maxBandwidth: number | undefined;
  /** The same in stage three, for what is pushed; undefined is as before. */
  readonly maxPostcopyBandwidth: number | undefined;
  readonly tuning: Tuning;
  /** How long a source in doubt asks before it gives up. */
  readonly askMs: number;
}

/** How far the stage under way is. */
export interface OutgoingProgress {
  readonly stage: 1 | 2 | 3;
  readonly pagesDone: number;
  readonly pagesTotal: number;
  /** Page bytes of the whole migration until now. */
  readonly bytes: number;
  readonly guestOpsPerSecond: number | null;
  readonly faults: number;
}

/** What the host is told, and what it does for an outgoing migration. */
export interface OutgoingHost {
  readonly clock: Clock;
  /** That this generation is being handed over; on disk when it returns. */
  journalHandover(generation: number): void;
  /** That the guest stays here after all. */
  journalKept(generation: number): void;
  phaseChanged(phase: SourcePhase): void;
  progressed(progress: OutgoingProgress): void;
  /** The destination has everything: forget the guest and free its memory. */
  release(): Promise<void>;
  reported(report: Report): void;
}

/** One outgoing migration: performs what `advance` (phase.ts) decides. */
export class Outgoing {
  phase: SourcePhase = { name: "greeting" };
  private readonly session = new Uint8Array(randomBytes(32));
  private readonly tables: MigrationTables;
  private readonly tracker: EpochTracker;
  private readonly dirty: PageBitmap;
  private times: MigrationTimes;
  private dirtyPages = 0;
  private control: ControlConnection | undefined;
  private pool: ChannelPool | undefined;
  private drain: Drain | undefined;
  private pausing: Promise<unknown> = Promise.resolve();
  private paused: (CpuStates & { readonly pausedMs: number }) | undefined;
  private complete: MessageBody<"complete"> | undefined;
  private summary: MessageBody<"summary"> | undefined;
  private remote: MessageBody<"progress"> | undefined;
  private progressTimer: NodeJS.Timeout | undefined;
  private probeTimer: NodeJS.Timeout | undefined;
  private readonly probes: EpochOpening[] = [];

  constructor(
    private readonly options: OutgoingOptions,
    private readonly guest: Guest,
    private readonly throughput: ThroughputRecorder,
    private readonly host: OutgoingHost,
  ) {
    const { pageCount } = guest.ram;
    this.tables = MigrationTables.create(pageCount, RateLimit.createState());
    this.tracker = new EpochTracker(guest.ram, this.tables.handle.marks);
    this.dirty = PageBitmap.empty(pageCount);
    const startMs = host.clock.nowMs();
    this.times = { startMs, endMs: startMs };
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
    return this.phase.name === "ended" && this.phase.outcome === "cancelled";
  }

  /** The guest crashed or its host is closing: the migration cannot go on. */
  abandon(failure: Failure): void {
    this.happen({ type: "failed", failure });
  }

  /** Opens an epoch that nobody waits for: pages stamped with it were written from now on. */
  private probe(): void {
    const epoch = openEpoch(this.guest.ram.words);
    this.probes.push({ epoch, atMs: this.host.clock.nowMs() });
  }

  private async greet(): Promise<void> {
    this.probe();
    this.probeTimer = setInterval(() => {
      this.probe();
    }, PROBE_INTERVAL_MS);
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
    const { spec } = this.guest;
    control.send("hello", {
      version: PROTOCOL_VERSION,
      migrationId: this.options.migrationId,
      session: this.session,
      token: this.options.token,
      guestId: spec.guestId,
      program: spec.program,
      programSha256: spec.programSha256,
      options: { ...spec.options },
      ramBytes: spec.ramBytes,
      pageBytes: PAGE_BYTES,
      vcpuCount: spec.vcpuCount,
      generation: this.options.generation,
      channels: this.options.channels,
    });
  }

  private take(message: Message): void {
    const { clocks } = this.control!;
    switch (message.name) {
      case "welcome":
        this.happen({ type: "welcomed" });
        break;
      case "prepared":
        this.happen({ type: "prepared" });
        break;
      case "running": {
        const receivedMs = clocks.toOurs(message.body.receivedMs);
        const firstOperationMs = clocks.toOurs(message.body.firstOperationMs);
        this.times = { ...this.times, receivedMs, firstOperationMs };
        this.happen({ type: "running" });
        break;
      }
      case "progress":
        this.remote = message.body;
        break;
      case "complete":
        this.complete = message.body;
        this.times = { ...this.times, completedMs: clocks.toOurs(message.body.completedMs) };
        this.happen({ type: "complete" });
        break;
      case "summary":
        this.summary = message.body;
        this.happen({ type: "summarized" });
        break;
      case "failed": {
        const { code, text } = message.body;
        this.happen({ type: "failed", failure: { code: "PEER_FAILED", peerCode: code, text } });
        break;
      }
      default:
        // `decodeMessage` lets nothing else through to a source.
        break;
    }
  }

  private happen(event: SourceEvent): void {
    const [next, effects] = advance(this.phase, event);
    const changed = next !== this.phase && next.name !== this.phase.name;
    this.phase = next;
    if (changed) this.host.phaseChanged(next);
    for (const effect of effects) this.perform(effect);
  }

  private perform(effect: SourceEffect): void {
    switch (effect.type) {
      case "copy":
        void this.attempt(() => this.copy());
        break;
      case "pause":
        this.pausing = this.attempt(() => this.pause());
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
        this.drain?.stop();
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

  /** Stage one. The destination starts its vCPU threads meanwhile. */
  private async copy(): Promise<void> {
    const { options, guest, tables } = this;
    this.control?.send("prepare", {});
    this.progressTimer = setInterval(() => {
      this.tick();
    }, PROGRESS_INTERVAL_MS);
    this.pool = await ChannelPool.open(
      options.channels,
      {
        migrationId: options.migrationId,
        session: this.session,
        to: options.to,
        ram: guest.ram.handle,
        tables: tables.handle,
        rates: { pass: options.maxBandwidth, drain: this.drainRate },
        tuning: options.tuning,
      },
      {
        faulted: (fault) => this.drain?.faulted(fault),
        failed: (failure) => {
          // The destination has everything by then, and closes what it needs no more.
          if (this.phase.name !== "observing") this.happen({ type: "failed", failure });
        },
      },
    );
    if (this.phase.name !== "copying") {
      await this.pool.close();
      return;
    }
    clearInterval(this.probeTimer);
    await this.pool.pass(1, this.probes);
    this.happen({ type: "passEnded" });
  }

  /** Stage two begins: the journal knows before the guest stops, so the pause does not wait for the disk. */
  private async pause(): Promise<void> {
    this.host.journalHandover(this.options.generation);
    this.times = { ...this.times, pauseMs: this.host.clock.nowMs() };
    this.paused = await this.guest.pause();
    this.times = { ...this.times, stoodMs: this.paused.pausedMs };
    this.happen({ type: "paused" });
  }

  private sendSwitchover(): void {
    const { paused, guest, dirty } = this;
    if (paused === undefined) return;
    // Every vCPU stands, and its last stamp happened before it said so: the set is exact.
    this.tracker.written(everyPage(guest.ram.byteLength), dirty);
    this.tables.resend.addTo(dirty);
    this.control?.send("switchover", {
      generation: this.options.generation,
      cpus: paused.cpus.map(packCpu),
      operations: [...paused.operations],
      dirty: dirty.toBytes(),
    });
    this.times = { ...this.times, sentMs: this.host.clock.nowMs() };
    this.dirtyPages = dirty.count();
  }

  private get drainRate(): number | undefined {
    return this.options.maxPostcopyBandwidth ?? this.options.maxBandwidth;
  }

  /** Stage three. */
  private push(): void {
    const { pool, options } = this;
    if (pool === undefined) return;
    const plan = {
      dirty: this.dirty,
      stamps: this.guest.ram.stamps,
      vcpuCount: this.guest.spec.vcpuCount,
      channelCount: options.channels,
      batchPages: pagesPerFrame(this.drainRate),
      tuning: options.tuning,
    };
    this.drain = new Drain(plan, this.tables, pool);
  }

  /** The guest stays: lets it go on, once it has really stopped. */
  private async keepGuest(): Promise<void> {
    await this.pausing;
    if (this.paused === undefined) return;
    this.host.journalKept(this.options.generation);
    this.guest.resume();
  }

  private async ask(): Promise<void> {
    const { migrationId, token, to, generation, askMs } = this.options;
    const { guestId } = this.guest.spec;
    const question = { migrationId, session: this.session, token, guestId, generation };
    const version = PROTOCOL_VERSION;
    const answer = await askOwner(to, { version, ...question }, askMs, this.host.clock);
    this.happen(answer === undefined ? { type: "unanswered" } : { type: "owner", answer });
  }

  private tick(): void {
    const stage = stageOf(this.phase);
    if (stage === null) return;
    const { counters } = this.tables;
    const isRemote = stage === 3;
    const missing = this.remote?.missingPages ?? this.dirtyPages;
    this.host.progressed({
      stage,
      pagesDone: isRemote ? this.dirtyPages - missing : counters.read("pagesPassed"),
      pagesTotal: isRemote ? this.dirtyPages : this.guest.ram.pageCount,
      bytes: counters.read("bulkBytes") + counters.read("urgentBytes"),
      guestOpsPerSecond: isRemote
        ? (this.remote?.operationsPerSecond ?? null)
        : this.throughput.recentRate(),
      faults: this.remote?.faults ?? 0,
    });
  }

  private report(): void {
    clearInterval(this.progressTimer);
    this.times = { ...this.times, endMs: this.host.clock.nowMs() };
    if (this.phase.name !== "ended") return;
    const report = makeReport({
      migrationId: this.options.migrationId,
      spec: this.guest.spec,
      generation: this.options.generation,
      channels: this.options.channels,
      outcome: this.phase.outcome,
      cause: this.phase.cause,
      times: this.times,
      dirtyPages: this.dirtyPages,
      tables: this.tables,
      controlBytes: this.control?.wireBytes ?? 0,
      complete: this.complete,
      latencyUs: this.summary?.latencyUs,
      bins: this.bins(),
    });
    if (report.outcome === "completed") this.control?.send("report", { report });
    this.host.reported(report);
  }

  /** The guest's throughput here until it stood, then there, by this host's clock. */
  private bins(): readonly ThroughputBin[] {
    const { startMs, stoodMs = Number.POSITIVE_INFINITY } = this.times;
    const here = this.throughput.since(startMs - BEFORE_MS).filter(([atMs]) => atMs < stoodMs);
    const there = (this.summary?.bins ?? []).map(([atMs, operations]): ThroughputBin => [
      this.control!.clocks.toOurs(atMs),
      operations,
    ]);
    return [...here, ...there];
  }

  private close(cause: Failure | null): void {
    clearInterval(this.progressTimer);
    clearInterval(this.probeTimer);
    this.drain?.stop();
    if (cause === null) this.control?.close();
    else if (cause.code === "CANCELLED") {
      this.control?.send("cancel", { by: cause.by });
      this.control?.close();
    } else this.control?.fail(cause);
    void this.pool?.close();
  }
}
