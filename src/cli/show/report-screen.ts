import { describeDoubt, type Outcome, type Report } from "../../protocol/report.js";
import { formatBytes, formatCount, formatMs, formatRate } from "../../units.js";
import { throughputChart } from "./chart.js";
import { formatNumber, printable } from "./sentences.js";
import type { Style } from "./style.js";

const WIDTH = 80;
const HEIGHT = 23;
const CHART_HEIGHT = 5;
/** Rows of a chart besides its height: the lowest value, and the marks. */
const CHART_FOOT = 2;

/** A report as it fits on one screen of 80 columns and 24 rows, with a row to spare for the prompt. */
export function reportScreen(report: Report, style: Style): string[] {
  const words = [
    ...headline(report, style),
    "",
    ...table(report).map(([name, text]) => clip(`  ${name.padEnd(10)} ${text}`)),
    ...(report.choice === null ? [] : wrap(`chosen: ${report.choice.why}`, 2)),
    "",
    clip(`  guest op/s ${guestLine(report)}`),
  ];
  const height = Math.min(CHART_HEIGHT, HEIGHT - words.length - CHART_FOOT);
  const chart = height < 1 ? [] : throughputChart(report, { width: WIDTH - 2, height });
  return [...words, ...chart.map((line) => style("cyan", `  ${line}`))];
}

function headline(report: Report, style: Style): string[] {
  const { algorithm, guest, outcome, failure, doubt } = report;
  const good = outcome === "completed";
  const title = `${good ? "✓" : "✗"} ${algorithm} migration of ${guest}: ${OUTCOME_WORDS[outcome]}`;
  const lines = [style(["bold", good ? "green" : "red"], clip(title))];
  if (outcome === "inDoubt") lines.push(...wrap(describeDoubt(doubt), 4));
  else lines.push(`  ${WHEREABOUTS[outcome]}`);
  if (failure !== null) lines.push(...wrap(`why: ${failure.text} [${failure.code}]`, 3));
  return lines;
}

const OUTCOME_WORDS: Readonly<Record<Outcome, string>> = {
  completed: "completed",
  failed: "failed",
  crashed: "the guest crashed",
  cancelled: "cancelled",
  inDoubt: "in doubt",
  stranded: "stranded",
};

/** What has become of the guest. */
const WHEREABOUTS: Readonly<Record<Exclude<Outcome, "inDoubt">, string>> = {
  completed: "the guest runs on the destination, whole; the source has released it",
  crashed: "the guest runs nowhere; its memory is kept on the source",
  failed: "the guest goes on running on the source",
  cancelled: "the guest goes on running on the source",
  stranded: "the guest runs on the destination; pages it lacks are kept on the source",
};

function table(report: Report): [string, string][] {
  const { times, downtimeParts: parts, pages, bytes, faults, verified } = report;
  const { stageOne: one, stageThree: three, dirty, unchanged, delta } = pages;
  const { deferred, torn, pushed, pulled, prepulled } = pages;
  const n = formatNumber;
  const { preparationMs: preparation, downtimeMs: downtime, resumeMs: resume, totalMs } = times;
  const size = `${formatBytes(report.memoryBytes)}, ${n(pages.total)} pages`;
  const vcpus = counted(report.vcpuCount, "vCPU");
  const sends = `no page more than ${counted(pages.mostSendsOfOnePage, "time")}`;
  const rate = totalMs > 0 ? (bytes.wire / totalMs) * 1000 : 0;
  const channels = counted(report.channels, "channel");
  const compared = verified.pages === null ? "not told" : `${n(verified.pages)} pages compared`;
  const rows: [string, string | null][] = [
    ["asked", routeOf(report)],
    ["total", `${duration(totalMs)} = ${sum({ preparation, downtime, resume })}`],
    ["downtime", parts === null ? null : partsOf(parts)],
    ["rounds", roundsLine(report)],
    ["memory", `${size}, ${vcpus}, ${report.tracker} tracking, generation ${n(report.generation)}`],
    ["pages", `${n(pages.transferred)} sent, ${n(pages.zero)} zero, ${sends}`],
    ["stages", list({ one, dirty, three, unchanged, delta })],
    ["", list({ deferred, torn, pushed, pulled })],
    ["prepulled", faults === null ? n(prepulled) : prepulledOf(faults)],
    ["wire", `${formatBytes(bytes.wire)}, ${formatRate(rate)}${limitsOf(report)}, ${channels}`],
    ["faults", faults === null ? "the destination did not come to say" : waitsOf(faults)],
    ["", faults === null ? null : blockedOf(faults)],
    ["verified", `${compared}, ${n(verified.mismatches)} did not match`],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== null);
}

/** When it was asked for, whereto, and, if the row has room for its name, from where. */
function routeOf({ source, destination, startedAt }: Report): string {
  const when = startedAt.replace("T", " ").replace(/\.\d+/, "");
  return `${when} to ${destination} from ${source}`;
}

/** What page data was held to, and what was pushed then. */
function limitsOf({ request: { maxBandwidth, maxPostcopyBandwidth } }: Report): string {
  const first = maxBandwidth === null ? null : `at most ${formatRate(maxBandwidth)}`;
  if (maxPostcopyBandwidth === null) return first === null ? "" : ` (${first})`;
  const then = formatRate(maxPostcopyBandwidth);
  return first === null ? ` (then at most ${then})` : ` (${first}, then ${then})`;
}

type Faults = NonNullable<Report["faults"]>;

/** Not only those that went whole: zero pages, unchanged ones and deltas as well, which are touched as often. */
function prepulledOf({ prepullHits: hits, prepullMisses: misses }: Faults): string {
  return `${formatNumber(hits + misses)}, of which the guest soon touched ${formatNumber(hits)}`;
}

function waitsOf({ count, networkFaultPercent }: Faults): string {
  const percent = networkFaultPercent.toFixed(2);
  return `${formatNumber(count)}, ${percent} % of dirty pages waited for the network`;
}

function blockedOf({ blocktimeMs, latencyUs }: Faults): string {
  const blocked = `blocked ${duration(blocktimeMs)}`;
  if (latencyUs === null) return blocked;
  const { p50, p99, max } = latencyUs;
  return `${blocked}; p50 ${us(p50)}, p99 ${us(p99)}, max ${us(max)}`;
}

function partsOf(parts: NonNullable<Report["downtimeParts"]>): string {
  const { pauseMs: pause, copyMs: copy, collectMs: collect } = parts;
  const { transferMs: transfer, startMs: start } = parts;
  return sum(
    copy === 0 ? { pause, collect, transfer, start } : { pause, copy, collect, transfer, start },
  );
}

/** Null where an algorithm has no rounds to tell of. */
function roundsLine({ rounds, stopReason }: Report): string | null {
  const live = rounds.filter(({ stopped }) => !stopped);
  if (stopReason === null || live.length === 0) return null;
  const counts = live.map(({ pagesSent }) => formatNumber(pagesSent));
  const shown = counts.length > 6 ? [...counts.slice(0, 3), "…", ...counts.slice(-2)] : counts;
  const rest = rounds.filter(({ stopped }) => stopped).reduce((n, it) => n + it.pagesSent, 0);
  const throttle = Math.max(...live.map(({ throttlePercent }) => throttlePercent));
  const slowed = throttle === 0 ? "" : `, slowed ${String(throttle)} %`;
  const then = rest === 0 ? "" : `, ${formatNumber(rest)} stopped`;
  return `${String(live.length)} (${shown.join(", ")})${then}; ${stopReason}${slowed}`;
}

/** `a 1 ms + b 2 ms`; a dash where a time was not reached. */
function sum(times: Readonly<Record<string, number | null>>): string {
  const terms = Object.entries(times).map(([name, ms]) => `${name} ${duration(ms)}`);
  return terms.join(" + ");
}

/** `a 1 · b 2`. */
function list(counts: Readonly<Record<string, number>>): string {
  const items = Object.entries(counts).map(([name, count]) => `${name} ${formatNumber(count)}`);
  return items.join(" · ");
}

function duration(ms: number | null): string {
  return ms === null ? "–" : formatMs(ms);
}

/** `1 channel`, `4 channels`. */
function counted(count: number, thing: string): string {
  return `${formatNumber(count)} ${thing}${count === 1 ? "" : "s"}`;
}

function guestLine({ guestOps }: Report): string {
  const { before, during, after, longestGapMs } = guestOps;
  const gap = longestGapMs === null ? "" : `; longest gap ${formatMs(longestGapMs)}`;
  return `before ${pace(before)}, during ${pace(during)}, after ${pace(after)}${gap}`;
}

function pace(perSecond: number | null): string {
  return perSecond === null ? "–" : formatCount(perSecond).trimEnd();
}

function us(microseconds: number): string {
  return formatMs(microseconds / 1000);
}

function clip(line: string): string {
  const text = printable(line);
  return text.length <= WIDTH ? text : `${text.slice(0, WIDTH - 1)}…`;
}

/** Breaks at spaces, indented; the last of `maximum` lines shows when something was cut. */
function wrap(text: string, maximum: number): string[] {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1) ?? ""} ${word}`;
    if (longer.length < WIDTH) lines[lines.length - 1] = longer;
    else lines.push(` ${word}`);
  }
  const rest = lines.slice(maximum - 1).join("");
  return [...lines.slice(0, maximum - 1), rest].filter(Boolean).map((line) => clip(` ${line}`));
}
