import asciichart from "asciichart";
import type { Report } from "../../protocol/report.js";
import { formatCount, formatMs } from "../../units.js";

const BIN_MS = 10;
const LABEL_WIDTH = 9;
/** The plot begins after the label and the axis; asciichart draws the first value on the axis itself. */
const PLOT_OFFSET = 2;
/** Plotted in place of a column without observation, and wiped out afterwards. */
const UNOBSERVED = 0;

export interface ChartSize {
  /** Columns in all, labels included. */
  readonly width: number;
  /** Rows of the plot; two more carry its lowest value and the marks below. */
  readonly height: number;
}

/**
 * The guest's operations per second over the migration, with marks where it was paused and resumed.
 * Empty when nothing was observed.
 */
export function throughputChart(report: Report, { width, height }: ChartSize): string[] {
  const { throughput, times } = report;
  const first = throughput[0]?.[0];
  const last = throughput.at(-1)?.[0];
  if (first === undefined || last === undefined) return [];
  const span = { startMs: first, endMs: last + BIN_MS };
  const plotWidth = width - LABEL_WIDTH - 1;
  const columns = averages(throughput, span, plotWidth + 1);
  const known = columns.filter((column) => column !== null);
  const plotted = asciichart
    .plot([...columns.map((column) => column ?? UNOBSERVED)], {
      height,
      min: 0,
      max: Math.max(1, ...known),
      offset: PLOT_OFFSET,
      format: (value) => label(value).padStart(LABEL_WIDTH),
    })
    .split("\n");

  const columnOf = (ms: number): number =>
    Math.floor(((ms - span.startMs) / (span.endMs - span.startMs)) * plotWidth);
  const marks = marksOf(times.downtimeMs, columnOf, plotWidth);
  const lines = plotted.map((line) => mark(wipe(line, columns), marks));
  return [...lines, timeLine(span, times.downtimeMs, marks, plotWidth)].map((line) =>
    line.trimEnd(),
  );
}

interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Operations per second in each of `count` equal parts of the span; null where nothing was observed. */
export function averages(
  bins: Report["throughput"],
  { startMs, endMs }: Span,
  count: number,
): (number | null)[] {
  const columnMs = (endMs - startMs) / count;
  const sums = new Float64Array(count);
  const observedMs = new Float64Array(count);
  for (const [at, [binMs, rate]] of bins.entries()) {
    // Those beside the pause are shorter.
    const binEndMs = Math.min(binMs + BIN_MS, bins[at + 1]?.[0] ?? Infinity);
    const firstColumn = Math.max(0, Math.floor((binMs - startMs) / columnMs));
    for (let column = firstColumn; column < count; column += 1) {
      const from = startMs + column * columnMs;
      const overlapMs = Math.min(binEndMs, from + columnMs) - Math.max(binMs, from);
      if (overlapMs <= 0) break;
      sums[column]! += rate * overlapMs;
      observedMs[column]! += overlapMs;
    }
  }
  return Array.from(sums, (sum, column) =>
    observedMs[column]! > 0 ? sum / observedMs[column]! : null,
  );
}

/** Blanks what leads to or from a column without observation: no line where nothing is known. */
function wipe(line: string, columns: readonly (number | null)[]): string {
  const plot = Array.from(line.slice(LABEL_WIDTH + 1), (character, x) =>
    columns[x] === null || columns[x + 1] === null ? " " : character,
  );
  return line.slice(0, LABEL_WIDTH + 1) + plot.join("");
}

/** Columns of the plot where the guest was paused and where it resumed; one or none when they coincide. */
function marksOf(
  downtimeMs: number | null,
  columnOf: (ms: number) => number,
  plotWidth: number,
): number[] {
  const marks = downtimeMs === null ? [] : [columnOf(0), columnOf(downtimeMs)];
  return [...new Set(marks)].filter((column) => column >= 0 && column < plotWidth);
}

function mark(line: string, marks: readonly number[]): string {
  const cells = Array.from(line.padEnd(LABEL_WIDTH + 1));
  for (const column of marks) {
    const at = LABEL_WIDTH + 1 + column;
    while (cells.length <= at) cells.push(" ");
    if (cells[at] === " ") cells[at] = "┊";
  }
  return cells.join("");
}

/** Start, marks and end of the chart on one line; what has no room is left out. */
function timeLine(
  { startMs, endMs }: Span,
  downtimeMs: number | null,
  marks: readonly number[],
  plotWidth: number,
): string {
  const cells = Array.from({ length: plotWidth }, () => " ");
  const place = (text: string, at: number): boolean => {
    const wanted = cells.slice(Math.max(0, at - 1), at + text.length + 1);
    if (at < 0 || at + text.length > plotWidth || wanted.some((cell) => cell !== " ")) return false;
    cells.splice(at, text.length, ...Array.from(text));
    return true;
  };
  for (const column of marks) cells[column] = "▲";
  place(signed(startMs), 0);
  place(signed(endMs), plotWidth - signed(endMs).length);
  if (downtimeMs !== null && marks.length > 0) {
    const downtime = `down for ${formatMs(downtimeMs)}`;
    const after = Math.max(...marks) + 2;
    if (!place(downtime, after)) place(downtime, Math.min(...marks) - downtime.length - 1);
  }
  return " ".repeat(LABEL_WIDTH + 1) + cells.join("");
}

/** Whole operations; the scale's arithmetic may miss zero by a hair. */
function label(value: number): string {
  return formatCount(Math.max(0, Math.round(value))).trimEnd();
}

function signed(ms: number): string {
  return ms < 0 ? `-${formatMs(-ms)}` : `+${formatMs(ms)}`;
}
