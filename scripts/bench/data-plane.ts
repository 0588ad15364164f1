import { sentPages } from "../sent-pages.js";
import { bareThreads } from "./bare-threads.js";
import { faults, faultsOverLinks } from "./faults.js";
import type { Bench, Figures } from "./figures.js";
import { rate } from "./rate.js";
import { rawPump } from "./raw-pump.js";
import { migrateOnce, type Plan, repeat, type Run } from "./run.js";

const GIB = 2 ** 30;
/** Threads of a host in a migration with one channel and one vCPU, besides its main thread. */
const WORKERS = 3;
/** Guests whose memory is zero, so that the destination needs none for it: their size cannot be taken off. */
const ALL_ZERO = ["content=zero", "content=written-zero"];

/** The page path: throughput beside the raw pump of the same run, limits, faults, and downtime in its parts. */
export const DATA_PLANE: Bench = {
  throughput,
  sizes: otherSizes,
  rate,
  faults,
  links: faultsOverLinks,
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
    all.push(await migrateOnce({ ...idle("1GiB"), request: { channels: 1 } }));
    const request = { channels: 1, tuning: { checksums: false } };
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
    addMemory(figures, row, side, all);
    figures.add(
      row,
      `${side}, Node.js's own file`,
      "MiB",
      all.map((run) => mebi(run[side].fileBytes)),
    );
  }
}

function addMemory(
  figures: Figures,
  row: string,
  side: "source" | "dest",
  runs: readonly Run[],
): void {
  const beyond = runs.map((run) => mebi(run[side].peakBytes - run.report.memoryBytes));
  figures.add(row, `${side} memory beyond guest`, "MiB", beyond);
}

async function otherSizes(figures: Figures, runs: number): Promise<void> {
  const rows: readonly (readonly [row: string, plan: Plan])[] = [
    ["1GiB never written", idle("1GiB", "--set", "content=zero")],
    ["1GiB zero, written", idle("1GiB", "--set", "content=written-zero")],
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
    if (plan.guest.some((word) => ALL_ZERO.includes(word))) continue;
    for (const side of ["source", "dest"] as const) addMemory(figures, row, side, all);
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
      all.map(({ report }) => sentPages(report) / nonZeroPages(report.pages)),
    );
    figures.add(
      row,
      "pages sent as deltas",
      "of guest",
      all.map(({ report: { pages } }) => pages.delta / nonZeroPages(pages)),
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
