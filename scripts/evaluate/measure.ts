import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { EstimateEvent } from "../../src/host/events.js";
import type { EstimateRequest, MigrateRequest } from "../../src/host/service.js";
import type { Report } from "../../src/protocol/report.js";
import { backMemory } from "../bench/back-memory.js";
import { type Link, openLink } from "../bench/link.js";
import { post } from "../bench/post.js";
import { type HostProcess, start } from "../bench/run.js";
import { sentPages } from "../sent-pages.js";
import { BANDWIDTH, type Point, type Way } from "./plan.js";
import type { PointResult, RunResult, WayResult } from "./results.js";
import { recoveryMs } from "./statistics.js";
import { turnsOf } from "./turns.js";

/** The guest settles, and its stamps learn which pages are hot, before it moves again. */
const SETTLE_MS = 1500;
/** Longer than the slowest of these guests takes to write and to verify all that it tests. */
const ESTIMATE_MS = 6000;
const MARGIN_MS = 1000;
/** Begins the problem of a request that the host did not take: nothing has happened to the guest. */
const REFUSED = "refused";

/** Measures one point: an estimate, then the ways in turn, so that all of them see the same machine. */
export async function measurePoint(
  point: Point,
  runs: number,
  told: (way: string, run: RunResult | string) => void,
): Promise<PointResult> {
  const results = point.ways.map((way) => ({
    way,
    runs: [] as RunResult[],
    problem: null as string | null,
    bins: [] as WayResult["bins"],
  }));
  let pair = await Pair.open(point);
  try {
    await delay(SETTLE_MS);
    const estimate = await pair.estimate();
    for (let run = 0; run < runs; run += 1) {
      for (const result of turnsOf(run, results)) {
        if (result.problem !== null) continue;
        await delay(SETTLE_MS);
        await backMemory(point.memoryBytes);
        const outcome = await pair.move(result.way);
        if (typeof outcome === "string") {
          result.problem = outcome;
          told(result.way.name, outcome);
          if (outcome.startsWith(REFUSED)) continue;
          // Whatever has become of the guest, the next run begins with a whole one.
          await pair.close();
          pair = await Pair.open(point);
          continue;
        }
        const found = resultOf(outcome);
        result.runs.push(found);
        if (run === 0 && point.part === "degradation") result.bins = binsOf(outcome);
        told(result.way.name, found);
      }
    }
    return pointResult(point, estimate, results.map(wayResult));
  } finally {
    await pair.close();
  }
}

function pointResult(
  point: Point,
  estimate: EstimateEvent,
  ways: readonly WayResult[],
): PointResult {
  const { part, name, guest, settings, memoryBytes, ratio } = point;
  const { dirtyPagesPerSecond, pageBytes, contentPages } = estimate;
  const predictions = estimate.predictions.map(({ algorithm, downtimeMs, totalMs, pages }) => {
    return { algorithm, downtimeMs, totalMs, pages };
  });
  const measuredRatio = (dirtyPagesPerSecond * pageBytes) / BANDWIDTH;
  const head = { part, name, guest, settings, memoryBytes, ratio, measuredRatio, contentPages };
  return { ...head, predictions, ways };
}

function wayResult({ way, ...rest }: Omit<WayResult, "way" | "predictedAs"> & { way: Way }) {
  const { algorithm, tuning } = way.request;
  const predictedAs = tuning === undefined ? (algorithm ?? "three-stage") : null;
  return { way: way.name, predictedAs, ...rest };
}

/** What is kept of a report. */
export function resultOf(report: Report): RunResult {
  const { times, faults, guestOps, pages, throughput, downtimeParts } = report;
  const sent = sentPages(report);
  const { before, longestGapMs } = guestOps;
  const isWorking = before !== null && before > 0;
  return {
    totalMs: times.totalMs,
    downtimeMs: times.downtimeMs,
    blocktimeMs: faults?.blocktimeMs ?? null,
    pages: sent,
    faults: faults?.count ?? null,
    networkFaultPercent: faults?.networkFaultPercent ?? null,
    ...(longestGapMs === null ? {} : { longestGapMs }),
    ...(isWorking ? { recoveryMs: recoveryMs(throughput, before) } : {}),
    rounds: report.rounds.length,
    stopReason: report.stopReason,
    ...(downtimeParts === null ? {} : { downtimeParts }),
    dirtyPages: pages.dirty,
    deltaPages: pages.delta,
    pushedPages: sent - pages.stageOne,
    ...(faults === null || faults.count === 0 || faults.latencyUs === null
      ? {}
      : { faultLatencyUs: faults.latencyUs.p50 }),
  };
}

/** From a little before the migration to a little after it. */
function binsOf({ throughput, times }: Report): WayResult["bins"] {
  const fromMs = -(times.preparationMs ?? 0) - MARGIN_MS;
  const toMs = times.totalMs + MARGIN_MS;
  return throughput.filter(([ms]) => ms >= fromMs && ms <= toMs);
}

/** Two hosts between which one guest goes back and forth, each time as a migration of its own. */
class Pair {
  /** To each host, where loopback itself is not the link. */
  private readonly links = new Map<HostProcess, Link>();

  private constructor(
    private readonly folder: string,
    private here: HostProcess,
    private there: HostProcess,
  ) {}

  static async open({ roundTripMs, ...point }: Point): Promise<Pair> {
    const { guest, settings, memoryBytes, vcpuCount } = point;
    const folder = mkdtempSync(join(tmpdir(), "tristage-evaluate-"));
    const listening = ["--listen", "127.0.0.1:0", "--state-dir"];
    const set = Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
    const size = ["--memory", `${String(memoryBytes / 2 ** 20)}MiB`, "--vcpus", String(vcpuCount)];
    const there = start(["dest", ...listening, join(folder, "there")]);
    const here = start([
      "source",
      "--guest",
      guest,
      ...size,
      ...set,
      ...listening,
      join(folder, "here"),
    ]);
    const pair = new Pair(folder, here, there);
    try {
      await Promise.all([
        here.until("guest", ({ state }) => state === "running"),
        there.until("listening"),
      ]);
      if (roundTripMs > 0) await pair.lengthen(roundTripMs);
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  private async lengthen(roundTripMs: number): Promise<void> {
    for (const host of [this.here, this.there]) {
      const { address } = await host.until("listening");
      this.links.set(host, await openLink(address ?? "", { roundTripMs }));
    }
  }

  async estimate(): Promise<EstimateEvent> {
    const request = { maxBandwidth: BANDWIDTH, durationMs: ESTIMATE_MS };
    const answer = await this.post("/estimates", request);
    if (typeof answer === "string") throw new Error(`no estimate: ${answer}`);
    return answer as EstimateEvent;
  }

  /** The report of a migration that completed, or why none did. */
  async move({ request }: Way): Promise<Report | string> {
    const answer = await this.post("/migrations", { ...request, maxBandwidth: BANDWIDTH });
    if (typeof answer === "string") return answer;
    const { migrationId } = answer as { readonly migrationId: string };
    const isThis = (event: { readonly migrationId: string }) => event.migrationId === migrationId;
    const report = await this.here.until("report", isThis);
    if (report.outcome !== "completed") return report.failure?.text ?? report.outcome;
    if (report.times.downtimeMs === null) return "nobody saw its first operation end";
    const { guestId, generation } = report;
    await this.there.until(
      "guest",
      (it) => it.guestId === guestId && it.generation === generation && it.state === "running",
    );
    [this.here, this.there] = [this.there, this.here];
    return report;
  }

  async close(): Promise<void> {
    for (const link of this.links.values()) link.close();
    await Promise.all([this.here.stop(), this.there.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What the guest's host answers, or its refusal. */
  private async post(
    path: string,
    request: Omit<MigrateRequest | EstimateRequest, "to">,
  ): Promise<object | string> {
    const { control } = await this.here.until("listening");
    const { address } = this.links.get(this.there) ?? (await this.there.until("listening"));
    const { isAgreed, body } = await post(`http://${control}${path}`, { ...request, to: address });
    const answer = JSON.parse(body) as { readonly text?: string };
    return isAgreed ? answer : `${REFUSED}: ${answer.text ?? body}`;
  }
}
