import { z } from "zod";
import { MAX_PASSES } from "./limits.js";

/**
 * How a migration ended, for the guest:
 * - `completed`: it runs on the destination, whole; the source has released it.
 * - `failed`: it never stopped, or was resumed; it runs on the source.
 * - `crashed`: it failed by itself on the source before it could move; it runs nowhere.
 * - `cancelled`: as `failed`, at a person's wish.
 * - `inDoubt`: the source cannot learn who owns it; it stays paused there.
 * - `stranded`: the destination owns and runs it but the link broke before every page had arrived; the
 *   source keeps the rest.
 */
export const OUTCOMES = [
  "completed",
  "failed",
  "crashed",
  "cancelled",
  "inDoubt",
  "stranded",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What a migration really was in the end; see docs/adr/0014. */
export const ALGORITHMS = ["stop-and-copy", "pre-copy", "post-copy", "three-stage"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What may be asked for: an algorithm, or that one be chosen. */
export const ALGORITHM_NAMES = [...ALGORITHMS, "auto"] as const;
export type AlgorithmName = (typeof ALGORITHM_NAMES)[number];

/**
 * Why no further pass came while the guest ran, where there was a choice. The first four are Xen's:
 * - `few-pages`: a pass had fewer than 50 pages to send;
 * - `grew`: a pass sent more than the one before;
 * - `max-rounds`: as many passes as there may be;
 * - `sent-3x`: three times the guest's memory was sent;
 * - `downtime-limit`: what is left can be sent within the downtime that is allowed;
 * - `not-converging`: another pass would not leave much less;
 * - `max-total`: another pass would take longer than the whole migration may.
 */
export const STOP_REASONS = [
  "few-pages",
  "grew",
  "max-rounds",
  "sent-3x",
  "downtime-limit",
  "not-converging",
  "max-total",
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

const count = z.int().min(0);
const ms = z.number();

/** Latencies in microseconds; all zero when nothing was measured. */
export const latencySchema = z.strictObject({ p50: ms, p90: ms, p99: ms, max: ms });

/** Guest operations per second; null where the phase was never entered or could not be observed. */
const rate = z.number().min(0).nullable();

/** A guest-throughput bin of 10 ms, longer where the machine was busy and shorter where the guest stopped or went on in it: when it began, in milliseconds since the pause, and operations per second in it. */
const bin = z.tuple([z.number(), z.number()]);

/** One pass over memory before the guest runs at the destination. */
const round = z.strictObject({
  /** From 1 on. */
  pass: count,
  /** Pages sent, be it with contents or as zero. */
  pagesSent: count,
  /** Pages whose turn came and that were left for later, since the guest was writing them. */
  pagesSkipped: count,
  durationMs: ms,
  /** Pages that the destination lacked after it; while the guest runs, as well as can be known. */
  dirtyPagesAfter: count,
  /** Share of its time that was taken from the guest meanwhile. */
  throttlePercent: z.int().min(0).max(99),
  /** Whether the guest stood still meanwhile. */
  stopped: z.boolean(),
});
export type Round = z.infer<typeof round>;

const limit = z.number().min(0).nullable();

/** What was asked of a migration; null where nothing was. */
const request = z.strictObject({
  algorithm: z.enum(ALGORITHM_NAMES),
  /** Bytes per second of page data, over all channels. */
  maxBandwidth: limit,
  /** The same in stage three, for what is pushed; null is as before. */
  maxPostcopyBandwidth: limit,
  downtimeLimitMs: limit,
  maxRounds: limit,
  throttle: z
    .strictObject({ startPercent: count, stepPercent: count, maxPercent: count })
    .nullable(),
  maxDowntimeMs: limit,
  maxTotalMs: limit,
  /** The parts of the method, each on unless it was switched off. */
  tuning: z.strictObject({
    defer: z.boolean(),
    unchanged: z.boolean(),
    delta: z.boolean(),
    prepull: z.boolean(),
    checksums: z.boolean(),
    chunkPages: count,
  }),
});
export type RequestedMigration = z.infer<typeof request>;

/** What `auto` settled on: the algorithm, and why in one sentence. */
const choice = z.strictObject({ algorithm: z.enum(ALGORITHMS), why: z.string().max(1024) });
export type Choice = z.infer<typeof choice>;

/** What the destination said, when it was asked who owns the guest, that left it open. */
const doubt = z.strictObject({
  /** `lost`: it ran there, and is there no longer. `unknown`: that host has no record of it. Null: no answer came. */
  answer: z.enum(["lost", "unknown"]).nullable(),
  /** Why no answer came, when it was asked last. */
  problem: z.string().nullable(),
});
export type Doubt = z.infer<typeof doubt>;

/** What is known of a guest that is paused on the source, and what a person has to do about it. */
export function describeDoubt(doubt: Doubt | null): string {
  switch (doubt?.answer) {
    case "lost":
      return "the guest ran on the destination, and is there no longer; it stays paused on the source as it was when it was handed over, and if that will do, tristage resume --in-doubt lets it go on";
    case "unknown":
      return "the host that answers at the destination's address never was ready for the guest; it stays paused on the source, so make sure that it does not run elsewhere before tristage resume --in-doubt lets it go on";
    default:
      return `nobody could say who owns the guest; it stays paused on the source, so make sure that it does not run on the destination before tristage resume --in-doubt lets it go on${doubt?.problem == null ? "" : ` (${doubt.problem})`}`;
  }
}

/**
 * The result of one migration (field terms of Hines & Gopalan, VEE 2009). Times in milliseconds of the
 * source's clock; a time that was not reached is null.
 */
export const reportSchema = z.strictObject({
  event: z.literal("report"),
  migrationId: z.string(),
  /** When it was asked for, by the source's wall clock: ISO 8601, UTC. */
  startedAt: z.iso.datetime(),
  /** The host that the guest was to leave, by its id. */
  source: z.string(),
  /** HOST:PORT to which the source connected. */
  destination: z.string(),
  request,
  algorithm: z.enum(ALGORITHMS),
  /** Null unless the algorithm was left to us. */
  choice: choice.nullable(),
  /** Every pass, in order. */
  rounds: z.array(round).max(MAX_PASSES),
  stopReason: z.enum(STOP_REASONS).nullable(),
  outcome: z.enum(OUTCOMES),
  /** Why it did not complete; null when it did. */
  failure: z.strictObject({ code: z.string(), text: z.string() }).nullable(),
  /** Null unless the outcome is `inDoubt`. */
  doubt: doubt.nullable(),
  guestId: z.string(),
  guest: z.string(),
  vcpuCount: count,
  generation: count,
  memoryBytes: count,
  pageBytes: count,
  tracker: z.string(),
  channels: count,
  times: z.strictObject({
    preparationMs: ms.nullable(),
    downtimeMs: ms.nullable(),
    resumeMs: ms.nullable(),
    totalMs: ms,
    /** Of the preparation, what the pages took: the first one's turn → all have arrived. */
    passMs: ms.nullable(),
  }),
  /**
   * The downtime's parts: until every vCPU stood still; until what had to be sent before the switchover
   * had arrived; until the dirty set was collected and the message packed; until the destination had it;
   * until the guest's first operation there.
   */
  downtimeParts: z
    .strictObject({ pauseMs: ms, copyMs: ms, collectMs: ms, transferMs: ms, startMs: ms })
    .nullable(),
  pages: z.strictObject({
    total: count,
    /** Pages whose contents crossed the wire, repeats included. */
    transferred: count,
    /** Page sends that needed no contents, because the page was zero. */
    zero: count,
    stageOne: count,
    stageThree: count,
    /** Dirty at the switchover. */
    dirty: count,
    deferred: count,
    unchanged: count,
    /** Sent as deltas in stage three: only the blocks that had changed. Not among the transferred. */
    delta: count,
    pulled: count,
    prepulled: count,
    pushed: count,
    /** Arrived torn in stage one and was sent again. */
    torn: count,
    mostSendsOfOnePage: count,
  }),
  /** `delta` are those of the blocks of such pages. */
  bytes: z.strictObject({ wire: count, bulk: count, urgent: count, control: count, delta: count }),
  /** Null where the destination did not come to say, because the migration did not complete. */
  faults: z
    .strictObject({
      count,
      networkFaultPercent: z.number(),
      blocktimeMs: ms,
      /** Prepulled pages that the guest touched before stage three ended, and the others. */
      prepullHits: count,
      prepullMisses: count,
      /** Null where the link broke before it was told. */
      latencyUs: latencySchema.nullable(),
    })
    .nullable(),
  guestOps: z.strictObject({
    before: rate,
    during: rate,
    after: rate,
    longestGapMs: ms.nullable(),
  }),
  /** Throughput around the migration for a chart, oldest first; gaps in time are gaps in observation. */
  throughput: z.array(bin).max(100_000),
  /**
   * Pages whose checksum the destination compared, null where it did not come to say; and how many did not match
   * when they had to, as far as the source knows.
   */
  verified: z.strictObject({ pages: count.nullable(), mismatches: count }),
});

export type Report = z.infer<typeof reportSchema>;
