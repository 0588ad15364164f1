import type { Round, StopReason } from "../protocol/report.js";
import type { PassFacts } from "./algorithms/algorithm.js";
import type { MigrationTables } from "./migration-tables.js";

/** The counters from which a pass is measured, as they stood before it. */
interface Before {
  readonly atMs: number;
  readonly sent: number;
  readonly skipped: number;
  readonly bytes: number;
}

/** Measures the passes of one migration: what a policy decides by, and the report tells. */
export class RoundLog {
  readonly rounds: Round[] = [];
  stopReason: StopReason | null = null;
  /** Pages that came corrupt although the guest stood still. */
  corruptPages = 0;
  private sentMs = 0;
  private bytes = 0;

  constructor(
    private readonly tables: MigrationTables,
    private readonly totalPages: number,
    private readonly startMs: number,
  ) {}

  /** What the counters say now. */
  look(atMs: number): Before {
    const { counters } = this.tables;
    return {
      atMs,
      sent: counters.read("stageOnePages") + counters.read("zeroPages"),
      skipped: counters.read("skippedPages") + counters.read("deferredPages"),
      bytes: counters.read("bulkBytes"),
    };
  }

  /** Notes the pass that has ended `atMs`. */
  note(
    before: Before,
    atMs: number,
    pass: Pick<Round, "dirtyPagesAfter" | "throttlePercent" | "stopped">,
  ): void {
    const after = this.look(atMs);
    const durationMs = atMs - before.atMs;
    this.sentMs += durationMs;
    this.bytes += after.bytes - before.bytes;
    this.rounds.push({
      pass: this.rounds.length + 1,
      pagesSent: after.sent - before.sent,
      pagesSkipped: after.skipped - before.skipped,
      durationMs,
      ...pass,
    });
  }

  /** What the passes sent, by the time they took; null while no page had contents. */
  get bytesPerSecond(): number | null {
    const hasContents = this.tables.counters.read("stageOnePages") > 0;
    return hasContents && this.sentMs > 0 ? (this.bytes / this.sentMs) * 1000 : null;
  }

  /** Since the migration began. */
  elapsedMs(atMs: number): number {
    return atMs - this.startMs;
  }

  /** What a policy is told of the pass that was noted last. */
  facts(atMs: number, roundTripMs: number): PassFacts {
    const last = this.rounds.at(-1);
    if (last === undefined) throw new RangeError("no pass has ended yet");
    const before = this.rounds.at(-2);
    return {
      pass: last.pass,
      pagesSent: last.pagesSent,
      pagesSkipped: last.pagesSkipped,
      pagesSentBefore: before?.pagesSent ?? this.totalPages,
      pagesSentInAll: this.rounds.reduce((sum, { pagesSent }) => sum + pagesSent, 0),
      dirtyPages: last.dirtyPagesAfter,
      dirtyPagesBefore: before?.dirtyPagesAfter ?? this.totalPages,
      totalPages: this.totalPages,
      durationMs: last.durationMs,
      elapsedMs: this.elapsedMs(atMs),
      bytesPerSecond: this.bytesPerSecond,
      roundTripMs,
      throttlePercent: last.throttlePercent,
    };
  }
}
