import type { PhaseEvent, ProgressEvent } from "../../host/events.js";
import { formatMs, formatRate } from "../../units.js";
import { formatNumber, formatOps, percent, printable } from "./sentences.js";
import type { Style } from "./style.js";

type Stage = 1 | 2 | 3;

const STAGE_NAMES: Readonly<Record<Stage, string>> = {
  1: "memory copy",
  2: "switchover",
  3: "dirty pages",
};
const BAR_CELLS = 14;

/** A migration under way, as the live block shows it. */
export interface LiveMigration {
  readonly phase: PhaseEvent;
  /** The last progress of each stage that was entered; null where there was none yet. */
  readonly stages: ReadonlyMap<Stage, ProgressEvent | null>;
}

/** The migration after one more of its events. */
export function advance(
  migration: LiveMigration | undefined,
  event: PhaseEvent | ProgressEvent,
): LiveMigration | undefined {
  const stages = new Map(migration?.stages);
  if (event.event === "phase") {
    if (event.stage !== null && !stages.has(event.stage)) stages.set(event.stage, null);
    return { phase: event, stages };
  }
  if (migration === undefined) return undefined;
  stages.set(event.stage, event);
  return { phase: migration.phase, stages };
}

/** One line for the phase, one for each stage so far, one for the guest. */
export function liveBlock({ phase, stages }: LiveMigration, style: Style): string[] {
  // Every page has arrived: the last stage is done as well.
  const newest = phase.phase === "observing" ? Infinity : Math.max(0, ...stages.keys());
  const latest = [...stages.values()].findLast((progress) => progress !== null);
  const stageLines = [...stages].map(([stage, progress]) =>
    stage < newest
      ? style("dim", `  ✓ ${STAGE_NAMES[stage]}`)
      : `  ${String(stage)} ${STAGE_NAMES[stage].padEnd(12)} ${progress === null ? "" : stageLine(progress)}`,
  );
  const guest = latest === undefined ? [] : [style("dim", `    ${guestLine(latest)}`)];
  return [style("bold", printable(`${phase.guest}: ${phase.text}`)), ...stageLines, ...guest];
}

function stageLine(progress: ProgressEvent): string {
  const { pagesDone, pagesTotal, bytesPerSecond, secondsLeft } = progress;
  const left = secondsLeft === null ? "" : `  ${formatMs(secondsLeft * 1000)} left`;
  const share = percent(pagesDone, pagesTotal).padStart(5);
  return `${bar(pagesDone, pagesTotal)} ${share}  ${formatRate(bytesPerSecond)}${left}`;
}

function guestLine({ pagesDone, pagesTotal, guestOpsPerSecond, faults }: ProgressEvent): string {
  const pages = `${formatNumber(pagesDone)} of ${formatNumber(pagesTotal)} pages`;
  return `${pages} · guest ${formatOps(guestOpsPerSecond)} · ${formatNumber(faults)} faults`;
}

function bar(part: number, whole: number): string {
  const filled = whole === 0 ? BAR_CELLS : Math.floor((BAR_CELLS * part) / whole);
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}
