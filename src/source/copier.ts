import type { Clock } from "../clock.js";
import { MigrationError } from "../failure.js";
import type { Guest } from "../guest/guest.js";
import { PageBitmap } from "../memory/bitmap.js";
import { NEVER } from "../memory/words.js";
import type { Choice, Round } from "../protocol/report.js";
import type { Opening, PassFacts, Policy } from "./algorithms/algorithm.js";
import type { ChannelPool } from "./channel-pool.js";
import type { DirtySet } from "./dirty-set.js";
import type { HeatClock } from "./heat-clock.js";
import type { MigrationTables } from "./migration-tables.js";
import { RoundLog } from "./round-log.js";

/** What a copier works with; see the classes. */
export interface CopierParts {
  readonly policy: Policy;
  readonly guest: Guest;
  readonly tables: MigrationTables;
  readonly dirtySet: DirtySet;
  readonly pool: ChannelPool;
  readonly heat: HeatClock;
  readonly clock: Clock;
  /** The shortest round trip to the destination until now; infinite before the first. */
  readonly roundTripMs: () => number;
}

/** Before the handover: sends pages, pass after pass, as the policy has it. */
export class Copier {
  readonly log: RoundLog;
  choice: Choice | null = null;
  private lastPass: PassFacts | null = null;
  private throttlePercent = 0;
  private released = false;
  /** Of the pass under way, for progress. */
  private plannedPages: number;
  private passedBefore = 0;

  constructor(private readonly parts: CopierParts) {
    const { guest, tables, clock } = parts;
    this.plannedPages = guest.ram.pageCount;
    this.log = new RoundLog(tables, this.plannedPages, clock.nowMs());
  }

  /** How far the pass under way is. */
  get progress(): { readonly pagesDone: number; readonly pagesTotal: number } {
    const passed = this.parts.tables.counters.read("pagesPassed") - this.passedBefore;
    return { pagesDone: passed, pagesTotal: this.plannedPages };
  }

  /** The opening, or the pass after the last; resolves with whether another is to follow. */
  async pass(): Promise<boolean> {
    const { policy, clock, roundTripMs } = this.parts;
    const isFirst = this.log.rounds.length === 0;
    const opening = isFirst ? policy.opening : "dirty";
    if (opening === "nothing") return false;
    if (opening === "never-written") {
      // No page crosses the wire, so it is no pass to tell of.
      await this.round(false, () => this.neverWritten());
      return false;
    }
    const before = this.log.look(clock.nowMs());
    await this.send(opening);
    const endMs = clock.nowMs();
    this.note(before, endMs, false);
    this.lastPass = this.log.facts(endMs, roundTripMs());
    const verdict = policy.afterPass(this.lastPass);
    if (verdict.then === "stop") {
      this.log.stopReason = verdict.reason;
      return false;
    }
    this.throttle(verdict.throttlePercent);
    return true;
  }

  /** The guest stands still: whether the rest is sent before it is handed over. */
  settle(): boolean {
    const { policy, dirtySet, clock, roundTripMs } = this.parts;
    const { rest, choice } = policy.ending({
      reason: this.log.stopReason,
      lastPass: this.lastPass,
      elapsedMs: this.log.elapsedMs(clock.nowMs()),
      bytesPerSecond: this.log.bytesPerSecond,
      roundTripMs: roundTripMs(),
      dirtyPages: () => dirtySet.collect().count(),
    });
    this.choice = choice;
    return rest === "before";
  }

  /**
   * Sends what is left while the guest stands still. Then a page that comes corrupt is not torn: it
   * is sent once more, and rejects with PAGE_CORRUPT after that, for a guest that lacks a page is
   * not handed over.
   */
  async rest(): Promise<void> {
    const { clock, dirtySet } = this.parts;
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const before = this.log.look(clock.nowMs());
      await this.round(true, () => dirtySet.collect());
      const left = this.note(before, clock.nowMs(), true);
      const [page] = left.pages();
      if (page === undefined) return;
      this.log.corruptPages += left.count();
      if (attempt === 2) throw new MigrationError({ code: "PAGE_CORRUPT", pageIndex: page });
    }
  }

  /** Gives the guest all of its time back, whatever a pass that is still under way may answer. */
  release(): void {
    this.throttle(0);
    this.released = true;
  }

  private async send(opening: Exclude<Opening, "nothing" | "never-written"> | "dirty") {
    switch (opening) {
      case "all-but-hot": {
        const { pool, heat } = this.parts;
        await pool.pass({
          type: "pass",
          pass: this.nextPass,
          history: heat.entries(),
        });
        break;
      }
      case "all":
        await this.round(false, () => this.everyPage());
        break;
      case "dirty":
        await this.round(false, () => this.parts.dirtySet.collect());
        break;
    }
  }

  /** A pass over the pages that `choose` names once a new epoch holds; they are marked with it. */
  private async round(stopped: boolean, choose: () => PageBitmap): Promise<void> {
    const { dirtySet, tables, pool } = this.parts;
    const { epoch, pages } = await dirtySet.mark(choose);
    this.plannedPages = pages.count();
    this.passedBefore = tables.counters.read("pagesPassed");
    if (this.plannedPages === 0) return;
    tables.planned.assign(pages);
    tables.rewind();
    const skipSince = stopped ? Infinity : epoch;
    await pool.pass({ type: "round", pass: this.nextPass, skipSince });
  }

  /** Returns what is dirty after it. */
  private note(
    before: ReturnType<RoundLog["look"]>,
    endMs: number,
    stopped: Round["stopped"],
  ): PageBitmap {
    const left = this.parts.dirtySet.collect();
    const { throttlePercent } = this;
    this.log.note(before, endMs, { dirtyPagesAfter: left.count(), throttlePercent, stopped });
    return left;
  }

  private throttle(percent: number): void {
    if (this.released) return;
    this.throttlePercent = percent;
    this.parts.guest.throttle(percent);
  }

  private get nextPass(): number {
    return this.log.rounds.length + 1;
  }

  private everyPage(): PageBitmap {
    const pages = PageBitmap.empty(this.parts.guest.ram.pageCount);
    pages.addAll();
    return pages;
  }

  /** All others keep the mark that they never had, and so are dirty. */
  private neverWritten(): PageBitmap {
    const { stamps, pageCount } = this.parts.guest.ram;
    const pages = PageBitmap.empty(pageCount);
    for (let page = 0; page < pageCount; page += 1) if (stamps[page] === NEVER) pages.add(page);
    return pages;
  }
}
