import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";

/** One figure of a benchmark: what was measured, over how many runs. */
interface Figure {
  readonly row: string;
  readonly metric: string;
  readonly unit: string;
  readonly values: readonly number[];
}

/** The parts of a benchmark, by name: each can be run alone. */
export type Bench = Readonly<Record<string, (figures: Figures, runs: number) => Promise<void>>>;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Collects figures and prints them: a table for people, or a line of JSON each. */
export class Figures {
  private readonly figures: Figure[] = [];

  constructor(
    private readonly bench: string,
    private readonly json: boolean,
  ) {
    if (!json) console.log(`${bench} on ${machine()}\n`);
  }

  add(row: string, metric: string, unit: string, values: readonly number[]): void {
    const figure = { row, metric, unit, values };
    this.figures.push(figure);
    if (this.json) console.log(JSON.stringify(this.line(figure)));
    else console.log(text(figure));
  }

  private line({ row, metric, unit, values }: Figure) {
    return {
      event: "bench",
      bench: this.bench,
      row,
      metric,
      unit,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      runs: values.length,
    };
  }
}

function text({ row, metric, unit, values }: Figure): string {
  const range = `${digits(Math.min(...values))} – ${digits(Math.max(...values))}`;
  const label = `${row.padEnd(34)} ${metric.padEnd(26)}`;
  return `${label} ${digits(median(values)).padStart(9)} ${unit.padEnd(8)} (${range}, ${String(values.length)} runs)`;
}

function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 3);
}

/** Processor, cores, kernel and Node.js, as a figure needs them to mean anything. */
export function machine(): string {
  const [first] = cpus();
  const cores = `${String(cpus().length)} × ${first?.model.trim() ?? "unknown processor"}`;
  const linux = `Linux ${release().replace(/-.*/, "")}${congestionControl()}`;
  return `${cores}${family()}, ${linux}, Node.js ${process.version}`;
}

/** One that paces what is sent, as bbr does, costs the sender a good part of a core. */
function congestionControl(): string {
  try {
    const name = readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim();
    return ` (TCP ${name})`;
  } catch {
    return "";
  }
}

/** How old the processor is: that of a virtual machine often has no name but its maker's. */
function family(): string {
  try {
    const [, number] = /^cpu family\s*: (\d+)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return number === undefined ? "" : ` (family ${number})`;
  } catch {
    return ""; // Not Linux.
  }
}
