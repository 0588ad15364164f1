import { execFileSync, type StdioOptions } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { hideBin } from "yargs/helpers";
import { machine } from "../bench/figures.js";
import { chartsOf, svgOf } from "./charts.js";
import { evaluationDocument } from "./document.js";
import { measurePoint } from "./measure.js";
import { readOptions } from "./options.js";
import { BANDWIDTH, type Part, PARTS, planOf } from "./plan.js";
import {
  type Evaluation,
  type Measurement,
  type PointResult,
  type RunResult,
  withPart,
} from "./results.js";

const options = readOptions(hideBin(process.argv));
const RESULTS = `${options.out}/evaluation/results.json`;

function say(text: string, event: object): void {
  console.log(options.json ? JSON.stringify({ event: "evaluation", ...event }) : text);
}

function lineOf(run: RunResult | string): string {
  if (typeof run === "string") return run;
  const { totalMs, downtimeMs, pages } = run;
  const stopped = downtimeMs === null ? "unknown" : `${downtimeMs.toFixed(1)} ms`;
  return `total ${(totalMs / 1000).toFixed(2)} s, downtime ${stopped}, ${pages.toFixed(0)} pages`;
}

function readResults(): Evaluation | undefined {
  try {
    return JSON.parse(readFileSync(RESULTS, "utf8")) as Evaluation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function measure(measured: Part): Promise<PointResult[]> {
  const results: PointResult[] = [];
  for (const point of planOf(measured, options.quick)) {
    const { part, name } = point;
    if (!options.json) console.log(`${part}: ${name}`);
    const result = await measurePoint(point, options.runs, (way, run) => {
      const found = typeof run === "string" ? { problem: run } : run;
      say(`  ${way.padEnd(20)} ${lineOf(run)}`, { part, point: name, way, ...found });
    });
    results.push(result);
  }
  return results;
}

/** Each part takes its place among what was measured before, and is written at once: the next one may fail. */
async function evaluate(): Promise<void> {
  const measurement = thisMeasurement();
  for (const part of options.only === undefined ? PARTS : [options.only]) {
    const points = await measure(part);
    await write(withPart(readResults(), part, { measurement, bandwidth: BANDWIDTH, points }));
  }
}

function thisMeasurement(): Measurement {
  return {
    command: options.command,
    build: build(),
    measuredAt: new Date().toISOString().slice(0, 10),
    machine: machine(),
  };
}

function build(): string | null {
  const cwd = fileURLToPath(new URL(".", import.meta.url));
  const stdio: StdioOptions = ["ignore", "pipe", "ignore"];
  const git = (...argv: string[]) =>
    execFileSync("git", argv, { cwd, stdio, encoding: "utf8" }).trim();
  try {
    const commit = git("rev-parse", "--short=7", "HEAD");
    // But in docs: each part writes its results there before the next.
    const paths = [":/", ":(top,exclude)docs"];
    const changes = git("status", "--porcelain", "--untracked-files=no", "--", ...paths);
    return changes === "" ? commit : `${commit}-dirty`;
  } catch {
    return null;
  }
}

/** One line for each point: small enough to keep, and a change of one shows as one. */
function jsonOf({ points, ...head }: Evaluation): string {
  const start = JSON.stringify(head).slice(0, -1);
  const lines = points.map((point) => JSON.stringify(point, shortNumbers));
  return `${start},"points":[\n${lines.join(",\n")}\n]}\n`;
}

/** A microsecond, or a thousandth of a share, is more than anybody measured. */
function shortNumbers(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Math.round(value * 1000) / 1000 : value;
}

async function write(evaluation: Evaluation): Promise<void> {
  const { out } = options;
  mkdirSync(`${out}/evaluation`, { recursive: true });
  writeFileSync(RESULTS, jsonOf(evaluation));
  for (const chart of chartsOf(evaluation)) {
    writeFileSync(`${out}/evaluation/${chart.file}`, await svgOf(chart));
  }
  const text = await format(evaluationDocument(evaluation), {
    parser: "markdown",
    printWidth: 100,
  });
  writeFileSync(`${out}/EVALUATION.md`, text);
  say(`${out}/EVALUATION.md is written`, { written: `${out}/EVALUATION.md` });
}

const earlier = options.redraw ? readResults() : undefined;
if (!options.redraw) await evaluate();
else if (earlier !== undefined) await write(earlier);
else {
  console.error(`${RESULTS} is not there; run it without --redraw first`);
  process.exitCode = 2;
}
