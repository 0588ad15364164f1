import { type Failure, MigrationError } from "../failure.js";
import type { Guest } from "../guest/guest.js";
import type { ThroughputBin, ThroughputRecorder } from "../guest/throughput.js";
import type { MessageBody } from "../protocol/messages.js";
import type { StageProgress } from "../protocol/progress.js";
import type { Doubt, Outcome, Report } from "../protocol/report.js";
import type { ClockComparison } from "../transport/clock-comparison.js";
import type { ControlConnection } from "../transport/control-connection.js";
import type { Copier } from "./copier.js";
import { acrossHosts, BEFORE_MS, type OperationSpan, spansOf } from "./guest-operations.js";
import type { MigrationTables } from "./migration-tables.js";
import type { OutgoingOptions } from "./outgoing-options.js";
import type { MigrationTimes } from "./migration-times.js";
import { makeReport } from "./report.js";

/** Collects what the report of one outgoing migration is made of, from both hosts. */
export class Measurements {
  dirtyPages = 0;
  private complete: MessageBody<"complete"> | undefined;
  summary: MessageBody<"summary"> | undefined;
  /** The destination's last word on stage three. */
  remote: MessageBody<"progress"> | undefined;
  private times: MigrationTimes;
  /** How much too early the comparison of clocks puts what happens there. */
  private earlyMs = 0;

  constructor(
    startMs: number,
    private readonly guest: Guest,
    private readonly throughput: ThroughputRecorder,
    private readonly tables: MigrationTables,
  ) {
    this.times = { startMs, endMs: startMs };
  }

  /** Notes when something happened, by this host's clock. */
  note(times: Partial<MigrationTimes>): void {
    this.times = { ...this.times, ...times };
  }

  /**
   * The destination's times, by this host's clock as well as the comparison gives it; what arrives cannot have
   * arrived before it was sent.
   */
  noteArrival(
    clocks: ClockComparison,
    { receivedMs, firstOperationMs }: MessageBody<"running">,
  ): void {
    const ours = clocks.toOurs(receivedMs);
    this.earlyMs = Math.max(0, (this.times.sentMs ?? ours) - ours);
    this.note({ receivedMs: ours + this.earlyMs });
    this.noteFirstOperation(clocks, firstOperationMs);
  }

  /** Throws MESSAGE_MALFORMED where the guest is said to have touched what was never sent. */
  noteComplete(clocks: ClockComparison, complete: MessageBody<"complete">): void {
    const prepulled = this.tables.counters.read("prepulledOfAnyKind");
    if (complete.prepullHits > prepulled) {
      const detail = `${String(complete.prepullHits)} prepulled pages were touched of ${String(prepulled)} that were sent`;
      throw new MigrationError({ code: "MESSAGE_MALFORMED", message: "complete", detail });
    }
    this.complete = complete;
    this.note({ completedMs: clocks.toOurs(complete.completedMs) });
  }

  noteSummary(clocks: ClockComparison, summary: MessageBody<"summary">): void {
    this.summary = summary;
    if (this.times.firstOperationMs !== undefined) return;
    this.noteFirstOperation(clocks, summary.firstOperationMs);
  }

  private noteFirstOperation(clocks: ClockComparison, theirMs: number | null): void {
    if (theirMs !== null) this.note({ firstOperationMs: clocks.toOurs(theirMs) + this.earlyMs });
  }

  progress(stage: 1 | 2 | 3, copier: Copier): StageProgress {
    const { counters } = this.tables;
    const isRemote = stage === 3;
    const missing = this.remote?.missingPages ?? this.dirtyPages;
    const { pagesDone, pagesTotal } = copier.progress;
    return {
      stage,
      pagesDone: isRemote ? this.dirtyPages - missing : pagesDone,
      pagesTotal: isRemote ? this.dirtyPages : pagesTotal,
      bytes: counters.read("bulkBytes") + counters.read("urgentBytes"),
      guestOpsPerSecond: isRemote
        ? (this.remote?.operationsPerSecond ?? null)
        : this.throughput.recentRate(),
      faults: this.remote?.faults ?? 0,
    };
  }

  report(
    migration: OutgoingOptions,
    end: { outcome: Outcome; cause: Failure | null; doubt: Doubt | null },
    { log, choice }: Copier,
    control: ControlConnection | undefined,
  ): Report {
    return makeReport({
      migration,
      algorithm: choice?.algorithm ?? migration.policy.algorithm,
      choice,
      log,
      outcome: end.outcome,
      cause: end.cause,
      doubt: end.doubt,
      spec: this.guest.spec,
      times: this.times,
      dirtyPages: this.dirtyPages,
      tables: this.tables,
      controlBytes: control?.wireBytes ?? 0,
      complete: this.complete,
      latencyUs: this.summary?.latencyUs,
      operations: this.operations(control),
    });
  }

  /** The guest's throughput here, while it stood, and there, by this host's clock. */
  private operations(control: ControlConnection | undefined): readonly OperationSpan[] {
    const { startMs } = this.times;
    const here = spansOf(this.throughput.since(startMs - BEFORE_MS));
    const bins = control === undefined ? [] : (this.summary?.bins ?? []);
    const there = bins.map(([atMs, operations]): ThroughputBin => [
      (control?.clocks.toOurs(atMs) ?? 0) + this.earlyMs,
      operations,
    ]);
    return acrossHosts(here, spansOf(there), this.times);
  }
}
