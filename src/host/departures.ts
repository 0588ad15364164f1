import { randomUUID } from "node:crypto";
import { timestamp } from "../clock.js";
import { describe, type Failure, failureOf, MigrationError } from "../failure.js";
import { MAX_CHANNELS } from "../protocol/limits.js";
import type { Outcome, RequestedMigration } from "../protocol/report.js";
import {
  DEFAULT_ALGORITHM,
  describeMisfit,
  findMisfit,
  policyOf,
  throttleProblem,
  tuningFor,
} from "../source/algorithms/choice.js";
import type { LinkProbe } from "../source/estimate/link-probe.js";
import { Outgoing } from "../source/outgoing.js";
import type { OutgoingOptions } from "../source/outgoing-options.js";
import { type SourcePhase, stageOf, tell } from "../source/phase.js";
import { tuningProblem } from "../source/tuning.js";
import type { HostContext } from "./context.js";
import { freeMemorySoon } from "./free-memory.js";
import { requirePeer } from "./peer-address.js";
import { ProgressMeter } from "./progress-meter.js";
import type { Resident } from "./resident.js";
import type { MigrateRequest } from "./service.js";

/** How a probe of the link behaves beside migrations; see `probeBeside`. */
interface Manners extends Pick<LinkProbe, "maxBandwidth" | "signal"> {
  /** The limit of a migration, in bytes per second, where no lower one was asked for. */
  readonly heldTo: number | null;
  /** The probe is over. */
  end(): void;
}

const MOST_CHANNELS_UNASKED = 4;

/**
 * Bulk channels of a migration that does not say how many. Each keeps about one core busy on each side; the guest wants the
 * others.
 */
export function defaultChannels(cores: number): number {
  return Math.max(1, Math.min(MOST_CHANNELS_UNASKED, Math.floor(cores / 2)));
}

/** The guests that are leaving this host. */
export class Departures {
  private readonly outgoing = new Map<string, Outgoing>();
  /** Probes of the link that are under way beside what leaves. */
  private readonly probes = new Set<AbortController>();

  constructor(
    private readonly context: HostContext,
    private readonly askMs: number,
    private readonly defaultChannels: number,
  ) {
    context.onGuestFailed = (guestId, failure) => {
      for (const outgoing of this.outgoing.values()) {
        if (outgoing.guestId === guestId) outgoing.guestCrashed(failure);
      }
    };
  }

  /** Starts a migration. Throws USAGE, GUEST_NOT_HERE or GUEST_BUSY. */
  start(request: MigrateRequest): string {
    const to = requirePeer(request.to);
    const channels = request.channels ?? this.defaultChannels;
    if (!Number.isInteger(channels) || channels < 1 || channels > MAX_CHANNELS) {
      const detail = `channels must be a whole number from 1 to ${String(MAX_CHANNELS)}`;
      throw new MigrationError({ code: "USAGE", detail });
    }
    requireSense(request);
    const resident = this.context.pick(request.guestId);
    resident.require("running");
    const migrationId = randomUUID();
    this.depart(resident, {
      migrationId,
      startedAt: timestamp(),
      from: this.context.hostId,
      to,
      token: this.context.token,
      generation: resident.nextGeneration(),
      channels,
      request: complete(request),
      policy: policyOf(request),
      askMs: this.askMs,
    });
    return migrationId;
  }

  /** Throws MIGRATION_UNKNOWN, or GUEST_BUSY when it is too late. */
  cancel(migrationId: string, by: string): void {
    const outgoing = this.outgoing.get(migrationId);
    if (outgoing === undefined)
      throw new MigrationError({ code: "MIGRATION_UNKNOWN", migrationId });
    if (outgoing.cancel(by)) return;
    const { guestId } = outgoing;
    throw new MigrationError({ code: "GUEST_BUSY", guestId, state: "handedOver" });
  }

  /** Throws GUEST_BUSY while the migration of the guest, or its doubt, has not ended. */
  refuseWhileLeaving(guestId: string): void {
    for (const outgoing of this.outgoing.values()) {
      if (outgoing.guestId !== guestId) continue;
      throw new MigrationError({ code: "GUEST_BUSY", guestId, state: "leaving" });
    }
  }

  /**
   * What a probe keeps to that is not to hold up a migration: at most the limit of each that is under way, and the signal, aborted
   * when a guest stops to be handed over. Its pages, which vCPUs wait for, would queue behind the probe's bytes. Throws
   * GUEST_BUSY while it is so. `end` it in any case.
   */
  probeBeside(maxBandwidth: number | undefined): Manners {
    const leaving = [...this.outgoing.values()];
    const handingOver = leaving.find(({ phase }) => isHandingOver(phase));
    if (handingOver !== undefined) throw tooBusyToProbe(handingOver.guestId);
    const limits = leaving.map(({ options }) => options.request.maxBandwidth ?? Infinity);
    const ofMigrations = Math.min(...limits);
    const isHeld = Number.isFinite(ofMigrations) && ofMigrations <= (maxBandwidth ?? Infinity);
    const heldTo = isHeld ? ofMigrations : null;
    const controller = new AbortController();
    this.probes.add(controller);
    return {
      maxBandwidth: heldTo ?? maxBandwidth,
      heldTo,
      signal: controller.signal,
      end: () => this.probes.delete(controller),
    };
  }

  /** The host closes. */
  abandon(failure: Failure): void {
    for (const outgoing of this.outgoing.values()) outgoing.abandon(failure);
  }

  private depart(resident: Resident, options: OutgoingOptions): void {
    const { context } = this;
    const { clock, journal } = context;
    const { guestId } = resident;
    const { migrationId, generation } = options;
    const meter = new ProgressMeter(migrationId, "outgoing", clock);
    const outgoing: Outgoing = new Outgoing(
      options,
      resident.guest,
      resident.throughput,
      resident.heat,
      {
        clock,
        journalHandover: () => {
          resident.generation = generation;
          journal.write(guestId, generation, "handingOver");
        },
        journalKept: () => {
          this.note(guestId, generation, "kept");
        },
        phaseChanged: (phase) => {
          this.follow(migrationId, resident, phase);
        },
        progressed: (progress) => {
          context.emitProgress(meter.measure(progress));
        },
        release: async () => {
          this.note(guestId, generation, "released");
          context.residents.delete(guestId);
          await resident.release();
        },
        reported: (report) => {
          this.outgoing.delete(migrationId);
          context.migrations.delete(migrationId);
          context.emit(report);
          if (report.outcome === "completed") freeMemorySoon(resident.guest.ram);
          context.onSettled();
        },
      },
    );
    this.outgoing.set(migrationId, outgoing);
    resident.become("migrating");
    outgoing.start();
  }

  /** Records what the destination has made sure of: a full disk must not cost the guest. */
  private note(guestId: string, generation: number, kind: "kept" | "released"): void {
    const { context } = this;
    try {
      context.journal.write(guestId, generation, kind);
    } catch (error) {
      const failure = failureOf(error);
      context.logger.error({ guestId, generation }, describe(failure));
      context.emitError(failure, null);
    }
  }

  private follow(migrationId: string, resident: Resident, phase: SourcePhase): void {
    if (isHandingOver(phase)) {
      for (const probe of this.probes) probe.abort(tooBusyToProbe(resident.guestId));
    }
    this.context.enter(stageOf(phase));
    if (phase.name === "inDoubt") resident.become("inDoubt");
    if (phase.name === "ended") settle(resident, phase.outcome);
    const { guestId, name } = resident.guest.spec;
    this.context.emitPhase({
      event: "phase",
      migrationId,
      direction: "outgoing",
      guestId,
      guest: name,
      phase: phase.name,
      stage: stageOf(phase),
      text: tell(phase),
    });
  }
}

/** The guest stands still, or runs without some of its pages. */
function isHandingOver(phase: SourcePhase): boolean {
  const stage = stageOf(phase);
  return stage === 2 || stage === 3;
}

function tooBusyToProbe(guestId: string): MigrationError {
  return new MigrationError({ code: "GUEST_BUSY", guestId, state: "handingOver" });
}

/** The request with a value for everything that may be asked. */
function complete(request: MigrateRequest): RequestedMigration {
  const { algorithm = DEFAULT_ALGORITHM } = request;
  return {
    algorithm,
    maxBandwidth: request.maxBandwidth ?? null,
    maxPostcopyBandwidth: request.maxPostcopyBandwidth ?? null,
    downtimeLimitMs: request.downtimeLimitMs ?? null,
    maxRounds: request.maxRounds ?? null,
    throttle: request.throttle ?? null,
    maxDowntimeMs: request.maxDowntimeMs ?? null,
    maxTotalMs: request.maxTotalMs ?? null,
    tuning: tuningFor(algorithm, request.tuning),
  };
}

/** No option is accepted and then ignored. Throws USAGE. */
function requireSense(request: MigrateRequest): void {
  const misfit = findMisfit(request);
  const detail =
    misfit === undefined
      ? (throttleProblem(request.throttle) ?? tuningProblem(request.tuning))
      : describeMisfit(misfit, misfit.isKnob ? `tuning.${misfit.option}` : misfit.option);
  if (detail !== undefined) throw new MigrationError({ code: "USAGE", detail });
}

/** What the end of a migration means for the guest that was to leave. */
function settle(resident: Resident, outcome: Outcome): void {
  switch (outcome) {
    case "completed":
    case "crashed":
      break;
    case "failed":
    case "cancelled":
      resident.become("running");
      break;
    case "inDoubt":
      resident.become("inDoubt");
      break;
    case "stranded":
      resident.become("stranded");
      break;
  }
}
