import assert from "node:assert/strict";
import type {
  EstimateEvent,
  HostEvent,
  PhaseEvent,
  ProgressEvent,
} from "../../../src/host/events.js";
import type { Report } from "../../../src/protocol/report.js";
import { completeTuning } from "../../../src/source/tuning.js";

/** What was told, but not when. */
export function withoutTime(event: HostEvent & { readonly at?: string }): HostEvent {
  const { at, ...rest } = event;
  assert.ok(at !== undefined && Date.parse(at) > 0, `${rest.event} has no time`);
  return rest;
}

export function phaseEvent(changes: Partial<PhaseEvent> = {}): PhaseEvent {
  return {
    event: "phase",
    migrationId: "m1",
    direction: "outgoing",
    guestId: "g1",
    guest: "kv",
    phase: "copying",
    stage: 1,
    text: "copying all memory while the guest runs",
    ...changes,
  };
}

export function progressEvent(changes: Partial<ProgressEvent> = {}): ProgressEvent {
  return {
    event: "progress",
    migrationId: "m1",
    direction: "outgoing",
    stage: 1,
    pagesDone: 139_264,
    pagesTotal: 262_144,
    bytesPerSecond: 1.21e9,
    secondsLeft: 0.42,
    guestOpsPerSecond: 1_234_567,
    faults: 0,
    ...changes,
  };
}

/** A guest at a steady pace, down for 3.2 ms, and slower for a moment after it resumed. */
const throughput: [number, number][] = Array.from({ length: 140 }, (_, index) => {
  const ms = index * 10 - 900;
  const rate = ms === 0 ? 800_000 : ms > 0 && ms < 80 ? 900_000 + ms * 3000 : 1_200_000;
  return [ms, rate];
});

/** A migration that completed, with figures of a usual length. */
export function sampleReport(changes: Partial<Report> = {}): Report {
  return {
    event: "report",
    migrationId: "m1",
    startedAt: "2026-11-26T16:17:24.250Z",
    source: "alder-4711",
    destination: "192.0.2.2:7000",
    request: {
      algorithm: "three-stage",
      maxBandwidth: null,
      maxPostcopyBandwidth: null,
      downtimeLimitMs: null,
      maxRounds: null,
      throttle: null,
      maxDowntimeMs: null,
      maxTotalMs: null,
      tuning: completeTuning(),
    },
    algorithm: "three-stage",
    choice: null,
    rounds: [],
    stopReason: null,
    outcome: "completed",
    failure: null,
    doubt: null,
    guestId: "g1",
    guest: "kv",
    vcpuCount: 2,
    generation: 2,
    memoryBytes: 2 ** 30,
    pageBytes: 4096,
    tracker: "epoch",
    channels: 4,
    times: {
      preparationMs: 900.4,
      downtimeMs: 3.21,
      resumeMs: 121.7,
      totalMs: 1025.3,
      passMs: 850.2,
    },
    downtimeParts: { pauseMs: 0.21, copyMs: 0, collectMs: 0.63, transferMs: 1.91, startMs: 0.46 },
    pages: {
      total: 262_144,
      transferred: 251_907,
      zero: 18_304,
      stageOne: 243_840,
      stageThree: 8067,
      dirty: 8412,
      deferred: 0,
      unchanged: 345,
      delta: 240,
      pulled: 61,
      prepulled: 412,
      pushed: 7594,
      torn: 12,
      mostSendsOfOnePage: 2,
    },
    bytes: {
      wire: 1_036_000_000,
      bulk: 1_033_000_000,
      urgent: 2_500_000,
      control: 500_000,
      delta: 190_000,
    },
    faults: {
      count: 61,
      networkFaultPercent: 0.73,
      blocktimeMs: 12.4,
      prepullHits: 355,
      // Forty of them had no contents, or went as deltas.
      prepullMisses: 97,
      latencyUs: { p50: 112, p90: 310, p99: 571, max: 1204 },
    },
    guestOps: { before: 1_200_000, during: 1_010_000, after: 1_190_000, longestGapMs: 3.3 },
    throughput,
    verified: { pages: 262_144, mismatches: 0 },
    ...changes,
  };
}

/** A migration that came to nothing before it began: every field that may be null is. */
export function emptyReport(changes: Partial<Report> = {}): Report {
  const sample = sampleReport();
  return {
    ...sample,
    outcome: "failed",
    failure: {
      code: "CANNOT_CONNECT",
      text: "cannot connect to 192.0.2.1:7000: no answer within 10 s; check that a host listens there and that no firewall is between",
    },
    times: { preparationMs: null, downtimeMs: null, resumeMs: null, totalMs: 10_003, passMs: null },
    downtimeParts: null,
    guestOps: { before: null, during: null, after: null, longestGapMs: null },
    throughput: [],
    ...changes,
  };
}

export function sampleEstimate(changes: Partial<EstimateEvent> = {}): EstimateEvent {
  return {
    event: "estimate",
    guestId: "g1",
    guest: "kv",
    to: "127.0.0.1:7000",
    heldTo: null,
    memoryBytes: 2 ** 30,
    pageBytes: 4096,
    roundTripMs: 0.21,
    bytesPerSecond: 125e6,
    contentPages: 131_072,
    dirtyPagesPerSecond: 12_000,
    written: [{ windowMs: 40, pages: 480 }],
    predictions: [
      { algorithm: "pre-copy", downtimeMs: 84.2, totalMs: 6200, pages: 190_000, rounds: 7 },
      { algorithm: "three-stage", downtimeMs: 3.1, totalMs: 4600, pages: 140_000, rounds: 1 },
    ],
    ...changes,
  };
}
