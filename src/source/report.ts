import { describe, type Failure } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { PAGE_BYTES, pageCountOf } from "../memory/geometry.js";
import type { MessageBody } from "../protocol/messages.js";
import type { Algorithm, Choice, Doubt, Outcome, Report } from "../protocol/report.js";
import { formatAddress } from "../transport/address.js";
import { guestOperations, type OperationSpan, throughputChart } from "./guest-operations.js";
import type { MigrationTables } from "./migration-tables.js";
import type { MigrationTimes } from "./migration-times.js";
import type { OutgoingOptions } from "./outgoing-options.js";
import type { RoundLog } from "./round-log.js";

/** Everything that a report is made of. */
export interface MigrationRecord {
  readonly migration: OutgoingOptions;
  readonly spec: GuestSpec;
  readonly algorithm: Algorithm;
  readonly choice: Choice | null;
  readonly log: RoundLog;
  readonly outcome: Outcome;
  readonly cause: Failure | null;
  readonly doubt: Doubt | null;
  readonly times: MigrationTimes;
  readonly dirtyPages: number;
  readonly tables: MigrationTables;
  readonly controlBytes: number;
  readonly complete: MessageBody<"complete"> | undefined;
  readonly latencyUs: MessageBody<"summary">["latencyUs"] | undefined;
  /** Of both hosts, by the source's clock, oldest first. */
  readonly operations: readonly OperationSpan[];
}

/** The report of the design's section 9. */
export function makeReport(record: MigrationRecord): Report {
  const { migration, spec, times, tables, complete, dirtyPages, log } = record;
  const count = tables.counters.read.bind(tables.counters);
  const bulk = count("bulkBytes");
  const urgent = count("urgentBytes");
  return {
    event: "report",
    migrationId: migration.migrationId,
    startedAt: migration.startedAt,
    source: migration.from,
    destination: formatAddress(migration.to),
    request: migration.request,
    algorithm: record.algorithm,
    choice: record.choice,
    rounds: log.rounds,
    stopReason: log.stopReason,
    outcome: record.outcome,
    failure:
      record.cause === null ? null : { code: record.cause.code, text: describe(record.cause) },
    doubt: record.doubt,
    guestId: spec.guestId,
    guest: spec.name,
    vcpuCount: spec.vcpuCount,
    generation: migration.generation,
    memoryBytes: spec.ramBytes,
    pageBytes: PAGE_BYTES,
    tracker: "epoch",
    channels: migration.channels,
    times: durations(times),
    downtimeParts: downtimeParts(times),
    pages: {
      total: pageCountOf(spec.ramBytes),
      transferred: count("stageOnePages") + count("stageThreePages"),
      zero: count("zeroPages"),
      stageOne: count("stageOnePages"),
      stageThree: count("stageThreePages"),
      dirty: dirtyPages,
      deferred: count("deferredPages"),
      unchanged: count("unchangedPages"),
      delta: count("deltaPages"),
      pulled: count("pulledPages"),
      prepulled: count("prepulledPages"),
      pushed: count("pushedPages"),
      torn: count("tornPages"),
      mostSendsOfOnePage: tables.mostSendsOfOnePage(),
    },
    bytes: {
      wire: bulk + urgent + record.controlBytes,
      bulk,
      urgent,
      control: record.controlBytes,
      delta: count("deltaBytes"),
    },
    faults: complete === undefined ? null : faultsOf(record, complete),
    guestOps: guestOperations(record.operations, times),
    throughput: throughputChart(record.operations, times.pauseMs ?? times.endMs),
    verified: {
      pages: complete?.verifiedPages ?? null,
      mismatches: (complete?.mismatches ?? 0) + log.corruptPages,
    },
  };
}

function faultsOf(
  { dirtyPages, tables, latencyUs }: MigrationRecord,
  complete: MessageBody<"complete">,
): Report["faults"] {
  return {
    count: complete.faults,
    networkFaultPercent: dirtyPages === 0 ? 0 : (complete.networkFaults / dirtyPages) * 100,
    blocktimeMs: complete.blockedMs,
    prepullHits: complete.prepullHits,
    prepullMisses: tables.counters.read("prepulledOfAnyKind") - complete.prepullHits,
    latencyUs: latencyUs ?? null,
  };
}

function durations(times: MigrationTimes): Report["times"] {
  const { startMs, pauseMs, firstOperationMs, completedMs, endMs } = times;
  return {
    preparationMs: between(startMs, pauseMs),
    downtimeMs: between(pauseMs, firstOperationMs),
    resumeMs: between(firstOperationMs, completedMs),
    totalMs: (completedMs ?? endMs) - startMs,
    passMs: between(times.passStartMs, times.passEndMs),
  };
}

function between(fromMs: number | undefined, toMs: number | undefined): number | null {
  return fromMs === undefined || toMs === undefined ? null : toMs - fromMs;
}

function downtimeParts(times: MigrationTimes): Report["downtimeParts"] {
  const { pauseMs, stoodMs, sentMs, receivedMs, firstOperationMs } = times;
  const { restSentMs = stoodMs } = times;
  if (
    pauseMs === undefined ||
    stoodMs === undefined ||
    restSentMs === undefined ||
    sentMs === undefined ||
    receivedMs === undefined ||
    firstOperationMs === undefined
  ) {
    return null;
  }
  return {
    pauseMs: stoodMs - pauseMs,
    copyMs: restSentMs - stoodMs,
    collectMs: sentMs - restSentMs,
    transferMs: receivedMs - sentMs,
    startMs: firstOperationMs - receivedMs,
  };
}
