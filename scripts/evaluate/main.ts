import { execFileSync, type StdioOptions } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { machine } from "../bench/figures.js";
import { chartsOf, svgOf } from "./charts.js";
import { evaluationDocument } from "./document.js";
import { measurePoint } from "./measure.js";
import { BANDWIDTH, type Part, PARTS, planOf } from "./plan.js";
import type { Evaluation, Measurement, PointResult, RunResult } from "./results.js";

const options = await yargs(hideBin(process.argv))
  .usage("npm run evaluate -- [--quick] [--only PART] [--runs N] [--json] [--redraw]")
  .option("quick", { type: "boolean", default: false, describe: "small guests, one run, minutes" })
  .option("only", { choices: PARTS, describe: "one part; the results of the others are kept" })
  .option("runs", { type: "number", describe: "runs of every point [5; 1 with --quick]" })
  .option("json", { type: "boolean", default: false, describe: "a line of JSON for each run" })
  .option("redraw", { type: "boolean", default: false, describe: "measure nothing" })
  .option("out", { type: "string", describe: "folder to write to [docs]" })
  .strict()
  .parse();

const docs = options.out ?? fileURLToPath(new URL("../../../docs", import.meta.url));
const RESULTS = `${docs}/evaluation/results.json`;

function say(text: string, event: object): void {
  console.log(options.json ? JSON.stringify({ event: "evaluation", ...event }) : text);
}

function lineOf(run: RunResult | string): string {
  if (typeof run === "string") return run;
  const { totalMs, downtimeMs, pages } = run;
  return `total ${(totalMs / 1000).toFixed(2)} s, downtime ${downtimeMs.toFixed(1)} ms, ${String(pages)} pages`;
}

function readResults(): Evaluation | undefined {
  try {
    return JSON.parse(readFileSync(RESULTS, "utf8")) as Evaluation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function measure(parts: readonly Part[], runs: number): Promise<PointResult[]> {
  const results: PointResult[] = [];
  for (const point of parts.flatMap((part) => planOf(part, options.quick))) {
    const { part, name } = point;
    if (!options.json) console.log(`${part}: ${name}`);
    const result = await measurePoint(point, runs, (way, run) => {
      const found = typeof run === "string" ? { problem: run } : run;
      say(`  ${way.padEnd(20)} ${lineOf(run)}`, { part, point: name, way, ...found });
    });
    results.push(result);
  }
  return results;
}

async function evaluate(): Promise<Evaluation> {
  const parts = options.only === undefined ? PARTS : [options.only];
  const runs = options.runs ?? (options.quick ? 1 : 5);
  const measurement = thisMeasurement();
  const measured = await measure(parts, runs);
  // A part alone takes its place among what was measured before.
  const results = options.only === undefined ? undefined : readResults();
  const kept = results?.bandwidth === BANDWIDTH ? results : undefined;
  const points = PARTS.flatMap((part) =>
    (parts.includes(part) ? measured : (kept?.points ?? [])).filter((point) => point.part === part),
  );
  const now = Object.fromEntries(parts.map((part) => [part, measurement]));
  return { measurements: { ...kept?.measurements, ...now }, bandwidth: BANDWIDTH, points };
}

function thisMeasurement(): Measurement {
  const flags = [
    options.quick ? " --quick" : "",
    options.only === undefined ? "" : ` --only ${options.only}`,
    options.runs === undefined ? "" : ` --runs ${String(options.runs)}`,
  ].join("");
  return {
    command: `npm run evaluate${flags === "" ? "" : ` --${flags}`}`,
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
  mkdirSync(`${docs}/evaluation`, { recursive: true });
  writeFileSync(RESULTS, jsonOf(evaluation));
  for (const chart of chartsOf(evaluation)) {
    writeFileSync(`${docs}/evaluation/${chart.file}`, await svgOf(chart));
  }
  const text = await format(evaluationDocument(evaluation), {
    parser: "markdown",
    printWidth: 100,
  });
  writeFileSync(`${docs}/EVALUATION.md`, text);
}

const evaluation = options.redraw ? readResults() : await evaluate();
if (evaluation === undefined) {
  console.error("nothing was measured yet; run it without --redraw first");
  process.exitCode = 2;
} else await write(evaluation);
