import type { Report } from "../../src/protocol/report.js";
import { type ClockGaps, clockGaps } from "./clock-gaps.js";
import type { Figures } from "./figures.js";
import { openLink } from "./link.js";
import { rawPing } from "./raw-ping.js";
import { pumpSpan } from "./raw-pump.js";
import { migrateOnce, type Plan, repeat, type Run } from "./run.js";

const GIB = 2 ** 30;
/** Names of percentiles, as reports have them. */
const PERCENTILES = { p50: 50, p90: 90, p99: 99, max: 100 } as const;
/** It writes to pages of its working set faster than they come, so it waits for one all the time. */
const WRITER = ["--guest", "random-writer", "--set", "rate=20000pages/s"];

/** Many dirty pages and a guest that touches them: what a fault costs alone, and beside ever slower pushes. */
export async function faults(figures: Figures, runs: number): Promise<void> {
  await gaps(figures, runs);
  await pings(figures, runs);
  const large = [...WRITER, "--memory", "512MiB", "--set", "working-set=256MiB"];
  // Requested pages use the limit up, so next to nothing is pushed. Hence only as many pages as the guest soon asks for by itself.
  const small = [...WRITER, "--memory", "512MiB", "--set", "working-set=32MiB"];
  const rows: readonly (readonly [
    row: string,
    guest: Plan["guest"],
    request: NonNullable<Plan["request"]>,
  ])[] = [
    ["fault alone, push at 1 Mbit/s", small, { maxPostcopyBandwidth: 1e6 / 8 }],
    ["fault, push at full speed", large, {}],
    // Most of a push are the blocks that have changed; this one has to carry each page.
    ["fault, push of whole pages at full speed", large, { tuning: { delta: false } }],
    ["fault, push at 1 Gbit/s", large, { maxPostcopyBandwidth: 1e9 / 8 }],
    ["fault, push at 100 Mbit/s", large, { maxPostcopyBandwidth: 100e6 / 8 }],
  ];
  for (const [row, guest, request] of rows) {
    const plan: Plan = { guest, request, warmUpMs: 1000 };
    addFaults(figures, row, await repeat(runs, () => migrateOnce(plan)));
  }
}

/** The same over links that are narrow by themselves, and nothing is limited here: what is pushed fills them. */
export async function faultsOverLinks(figures: Figures, runs: number): Promise<void> {
  const rows: readonly (readonly [mbitPerSecond: number, memory: string, workingSet: string])[] = [
    [10, "16MiB", "12MiB"],
    [100, "128MiB", "96MiB"],
  ];
  for (const [mbitPerSecond, memory, workingSet] of rows) {
    const plan: Plan = {
      guest: [...WRITER, "--memory", memory, "--set", `working-set=${workingSet}`],
      warmUpMs: 1000,
      link: (address) => openLink(address, { bytesPerSecond: (mbitPerSecond * 1e6) / 8 }),
    };
    const row = `fault, link of ${String(mbitPerSecond)} Mbit/s`;
    addFaults(figures, row, await repeat(runs, () => migrateOnce(plan)));
  }
}

function addFaults(figures: Figures, row: string, runs: readonly Run[]): void {
  const add = (metric: string, unit: string, of: (report: Report) => number | undefined) => {
    const values = runs.map(({ report }) => of(report) ?? Number.NaN);
    figures.add(row, metric, unit, values);
  };
  for (const name of keysOf(PERCENTILES)) {
    add(name, "µs", ({ faults }) => faults?.latencyUs?.[name]);
  }
  add("faults", "count", ({ faults }) => faults?.count);
  add("pushed whole beside them", "pages", ({ pages }) => pages.pushed);
  add("sent as deltas", "pages", ({ pages }) => pages.delta);
}

/** How long, and how often, the machine itself stands still while threads are at work on every core. */
async function gaps(figures: Figures, runs: number): Promise<void> {
  const row = "threads that read the clock";
  const all = await repeat(runs, clockGaps);
  const add = (metric: string, unit: string, of: (run: ClockGaps) => number) => {
    figures.add(row, metric, unit, all.map(of));
  };
  add("gaps of 0.3 ms or more", "1/s", ({ perSecond }) => perSecond);
  add("longest gap", "ms", ({ longestMs }) => longestMs);
  add("time lost in gaps", "%", ({ lostPercent }) => lostPercent);
}

/** What the machine needs for as much as a fault is made of, beside a pump at full speed. */
async function pings(figures: Figures, runs: number): Promise<void> {
  const row = "bare ping, pump at full speed";
  const all = await repeat(runs, () => rawPing(() => pumpSpan(GIB, { checks: true })));
  for (const name of keysOf(PERCENTILES)) {
    const values = all.map((us) => us.percentile(PERCENTILES[name]));
    figures.add(row, name, "µs", values);
  }
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): readonly Key[] {
  return Object.keys(record) as Key[];
}
