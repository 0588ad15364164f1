import { bareThreads } from "./bare-threads.js";
import { type ClockGaps, clockGaps } from "./clock-gaps.js";
import type { Bench, Figures } from "./figures.js";
import { rawPing } from "./raw-ping.js";
import { pumpSpan, rawPump } from "./raw-pump.js";
import { migrateOnce, type Plan, type Run } from "./run.js";

const GIB = 2 ** 30;
/** Threads of a host in a migration with one channel and one vCPU, besides its main thread. */
const WORKERS = 3;
/** Names of percentiles, as reports have them. */
const PERCENTILES = { p50: 50, p90: 90, p99: 99, max: 100 } as const;

/** The page path: throughput beside the raw pump of the same run, faults, and downtime in its parts. */
export const DATA_PLANE: Bench = {
  throughput,
  sizes: otherSizes,
  faults,
  downtime,
  guest: guestBesideStageOne,
};

/** A guest that hardly runs, so that both cores belong to the page path. */
function idle(memory: string, ...settings: string[]): Plan {
  return { guest: ["--guest", "idle", "--memory", memory, ...settings] };
}

function running(guest: string, memory: string, ...settings: string[]): Plan {
  return { guest: ["--guest", guest, "--memory", memory, ...settings], warmUpMs: 2000 };
}

async function throughput(figures: Figures, runs: number): Promise<void> {
  const row = "1GiB non-zero";
  const pump: number[] = [];
  const checkingPump: number[] = [];
  const byWindow: number[] = [];
  const checkingByWindow: number[] = [];
  const bare: number[] = [];
  const all: Run[] = [];
  const unverified: Run[] = [];
  for (let run = 0; run < runs; run += 1) {
    // In turn, so that all see the same machine.
    pump.push(await rawPump(GIB));
    checkingPump.push(await rawPump(GIB, { checks: true }));
    byWindow.push(await rawPump(GIB, { byWindow: true }));
    checkingByWindow.push(await rawPump(GIB, { checks: true, byWindow: true }));
    bare.push((await bareThreads(WORKERS)).peakBytes);
    all.push(await migrateOnce(idle("1GiB")));
    const request = { tuning: { checksums: false } };
    unverified.push(await migrateOnce({ ...idle("1GiB"), request }));
  }
  for (const [name, rates] of [
    ["raw pump", pump],
    ["raw pump with checksums", checkingPump],
    ["raw pump, TCP by window", byWindow],
    ["raw pump with checksums, TCP by window", checkingByWindow],
  ] as const) {
    figures.add(name, "throughput", "GB/s", rates.map(giga));
  }
  for (const [metric, rates] of [
    ["shareOfCheckingPump", checkingPump],
    ["shareOfPumpByWindow", byWindow],
    ["shareOfCheckingPumpByWindow", checkingByWindow],
  ] as const) {
    figures.add(row, metric, "ratio", sharesOf(all, rates));
  }
  const bareRow = `bare Node.js, ${String(WORKERS)} threads`;
  figures.add(bareRow, "memory", "MiB", bare.map(mebi));
  for (const [name, migrations] of [
    [row, all],
    ["1GiB, checksums off", unverified],
  ] as const) {
    const rates = migrations.map(guestBytesPerSecond);
    figures.add(name, "throughput", "GB/s", rates.map(giga));
    figures.add(name, "shareOfRawPump", "ratio", sharesOf(migrations, pump));
  }
  for (const side of ["source", "dest"] as const) {
    figures.add(
      row,
      `${side} CPU`,
      "s/GiB",
      all.map((run) => run[side].cpuSeconds),
    );
    // The source's vCPU has ended by the time of the report.
    const vcpus = side === "source" ? [] : ["vcpu-0"];
    for (const thread of ["main", "bulk-0", "urgent", ...vcpus, "rest"]) {
      figures.add(
        row,
        `${side} CPU, ${thread}`,
        "s/GiB",
        all.map((run) => run[side].threadSeconds.get(thread) ?? Number.NaN),
      );
    }
    figures.add(
      row,
      `${side} memory beyond guest`,
      "MiB",
      all.map((run) => beyondGuest(run[side].peakBytes, GIB)),
    );
    figures.add(
      row,
      `${side}, Node.js's own file`,
      "MiB",
      all.map((run) => mebi(run[side].fileBytes)),
    );
  }
}

async function otherSizes(figures: Figures, runs: number): Promise<void> {
  const rows: readonly (readonly [row: string, plan: Plan])[] = [
    ["1GiB zero", idle("1GiB", "--set", "content=zero")],
    ["4GiB non-zero", idle("4GiB")],
    ["1GiB, 2 channels", { ...idle("1GiB"), request: { channels: 2 } }],
    ["1GiB, 4 channels", { ...idle("1GiB"), request: { channels: 4 } }],
  ];
  for (const [row, plan] of rows) {
    const all = await repeat(runs, () => migrateOnce(plan));
    figures.add(
      row,
      "throughput",
      "GB/s",
      all.map((run) => giga(guestBytesPerSecond(run))),
    );
    // A guest that never wrote has not been given its memory, so its size cannot be taken off.
    if (plan.guest.includes("content=zero")) continue;
    figures.add(
      row,
      "most memory beyond guest",
      "MiB",
      all.map(({ source: ours, dest, report }) =>
        beyondGuest(Math.max(ours.peakBytes, dest.peakBytes), report.memoryBytes),
      ),
    );
  }
}

/** Many dirty pages and a guest that touches them: what a fault costs, beside ever slower pushes. */
async function faults(figures: Figures, runs: number): Promise<void> {
  await gaps(figures, runs);
  await pings(figures, runs);
  const guest = [
    ...["--guest", "random-writer", "--memory", "512MiB"],
    ...["--set", "working-set=256MiB", "--set", "rate=20000pages/s"],
  ];
  const rows: readonly (readonly [row: string, pushed: number | undefined])[] = [
    ["fault, push at 20 Mbit/s", 20e6 / 8],
    ["fault, push at full speed", undefined],
    ["fault, push at 1 Gbit/s", 1e9 / 8],
    ["fault, push at 100 Mbit/s", 100e6 / 8],
  ];
  for (const [row, maxPostcopyBandwidth] of rows) {
    const plan = { guest, request: { maxPostcopyBandwidth }, warmUpMs: 1000 };
    const all = await repeat(runs, () => migrateOnce(plan));
    const latency = all.map(({ report }) => report.faults?.latencyUs);
    for (const name of keysOf(PERCENTILES)) {
      figures.add(
        row,
        name,
        "µs",
        latency.map((it) => it?.[name] ?? Number.NaN),
      );
    }
    figures.add(
      row,
      "faults",
      "count",
      all.map(({ report }) => report.faults?.count ?? Number.NaN),
    );
  }
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

async function downtime(figures: Figures, runs: number): Promise<void> {
  const rows: readonly (readonly [row: string, plan: Plan])[] = [
    ["1GiB hot-cold", running("hot-cold", "1GiB")],
    ["1GiB kv mix A", running("kv", "1GiB", "--set", "mix=A")],
    ["4GiB random-writer", running("random-writer", "4GiB")],
  ];
  for (const [row, plan] of rows) {
    const all = await repeat(runs, () => migrateOnce(plan));
    const parts = all.map(({ report }) => report.downtimeParts);
    figures.add(
      row,
      "downtime",
      "ms",
      all.map(({ report }) => report.times.downtimeMs ?? Number.NaN),
    );
    for (const name of ["pauseMs", "collectMs", "transferMs", "startMs"] as const) {
      figures.add(
        row,
        name,
        "ms",
        parts.map((it) => it?.[name] ?? Number.NaN),
      );
    }
    figures.add(
      row,
      "pages transferred",
      "of guest",
      all.map(({ report: { pages } }) => pages.transferred / nonZeroPages(pages)),
    );
    figures.add(
      row,
      "mostSendsOfOnePage",
      "sends",
      all.map(({ report }) => report.pages.mostSendsOfOnePage),
    );
    figures.add(
      row,
      "guest ops during / before",
      "ratio",
      all.map(({ report: { guestOps } }) => (guestOps.during ?? 0) / (guestOps.before ?? 1)),
    );
    figures.add(
      row,
      "longest gap",
      "ms",
      all.map(({ report }) => report.guestOps.longestGapMs ?? Number.NaN),
    );
  }
}

/**
 * What stage one takes from the guest. At 160 Mbit/s a core is free for the page path. Nearly all that this guest writes is
 * deferred, so stage one takes a third of a second there, and is mostly its beginning; with nothing deferred it takes
 * thirteen seconds.
 */
async function guestBesideStageOne(figures: Figures, runs: number): Promise<void> {
  const slow = 160e6 / 8;
  const rows: readonly (readonly [row: string, request: NonNullable<Plan["request"]>])[] = [
    ["256MiB hot-cold at 1 Gbit/s", { maxBandwidth: 1e9 / 8 }],
    ["256MiB hot-cold at 160 Mbit/s", { maxBandwidth: slow }],
    [
      "256MiB hot-cold at 160 Mbit/s, nothing deferred",
      { maxBandwidth: slow, tuning: { defer: false } },
    ],
  ];
  for (const [row, request] of rows) {
    const plan = { ...running("hot-cold", "256MiB"), quietMs: 700, request };
    const all = await repeat(runs, () => migrateOnce(plan));
    figures.add(
      row,
      "guest ops in stage one",
      "of before",
      all.map(({ report }) => stageOneShare(report)),
    );
    figures.add(
      row,
      "stage one",
      "ms",
      all.map(({ report }) => report.times.preparationMs ?? Number.NaN),
    );
    figures.add(
      row,
      "stolen by the VM's host",
      "% cores",
      all.map(({ stolenPercent }) => stolenPercent),
    );
  }
}

/** The guest's throughput from start to pause over that of the half second before. */
function stageOneShare({ throughput: bins, times }: Run["report"]): number {
  const startMs = -(times.preparationMs ?? Number.NaN);
  // A bin that was closed late is longer than others: it lasts until the next begins.
  const mean = (fromMs: number, toMs: number) => {
    const inside = bins.filter(([atMs]) => atMs >= fromMs && atMs < toMs);
    const [first] = inside;
    const last = inside.at(-1);
    if (first === undefined || last === undefined) return Number.NaN;
    let operations = 0;
    inside.slice(0, -1).forEach(([atMs, rate], at) => {
      operations += rate * ((inside[at + 1]?.[0] ?? atMs) - atMs);
    });
    return operations / (last[0] - first[0]);
  };
  return mean(startMs, 0) / mean(startMs - 500, startMs);
}

/** Pages that had contents when their turn came. A zero page that turned dirty is rare and counts as both. */
function nonZeroPages(pages: Run["report"]["pages"]): number {
  return pages.total - Math.min(pages.zero, pages.total - 1);
}

/** What each run did of the rate that a pump had beside it. */
function sharesOf(runs: readonly Run[], rates: readonly number[]): number[] {
  return runs.map((run, at) => guestBytesPerSecond(run) / (rates[at] ?? Number.NaN));
}

/** Guest memory over the time that its pages took: what the raw pump measures of its own. */
function guestBytesPerSecond({ report }: Run): number {
  return (report.memoryBytes * 1000) / (report.times.passMs ?? Number.NaN);
}

function giga(value: number): number {
  return value / 1e9;
}

function mebi(bytes: number): number {
  return bytes / 2 ** 20;
}

function beyondGuest(peakBytes: number, ramBytes: number): number {
  return mebi(peakBytes - ramBytes);
}

function keysOf<Key extends string>(record: Readonly<Record<Key, unknown>>): readonly Key[] {
  return Object.keys(record) as Key[];
}

async function repeat<Result>(runs: number, work: () => Promise<Result>): Promise<Result[]> {
  const all: Result[] = [];
  for (let run = 0; run < runs; run += 1) all.push(await work());
  return all;
}
