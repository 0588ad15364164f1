import type { Logger } from "pino";
import type { Clock } from "../clock.js";
import { describe, type Failure, MigrationError } from "../failure.js";
import { type HostEvent, type PhaseEvent, type ProgressEvent, type Told, told } from "./events.js";
import type { Journal } from "./journal.js";
import type { Resident } from "./resident.js";

/** A migration as `status` shows it. */
export interface MigrationView {
  phase: PhaseEvent;
  progress: ProgressEvent | null;
}

/** So long, in milliseconds, events wait at most for a guest that stands still: nobody misses them for that. */
const HUSH_MS = 50;

/** What the parts of a host share. */
export class HostContext {
  readonly residents = new Map<string, Resident>();
  /** Migrations under way, by id. */
  readonly migrations = new Map<string, MigrationView>();
  private readonly listeners = new Set<(event: Told) => void>();
  /** What is to be told when the hush is over. */
  private readonly held: Told[] = [];
  private hushTimer: NodeJS.Timeout | undefined;

  constructor(
    readonly hostId: string,
    readonly clock: Clock,
    readonly logger: Logger,
    readonly journal: Journal,
    readonly token: string | null,
  ) {}

  watch(listener: (event: Told) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Tells every listener; in a hush later, but in the same order. */
  emit(event: HostEvent): void {
    this.held.push(told(event));
    if (this.hushTimer === undefined) this.speak();
  }

  /** A migration has come to `stage`; in the second its guest stands still. */
  enter(stage: PhaseEvent["stage"]): void {
    if (stage === 2) this.hush();
    else this.speak();
  }

  /**
   * A guest stands still: until `speak` nothing is told. Whoever listens would take a core to read it, and
   * the guest waits for all of them.
   */
  hush(): void {
    this.hushTimer ??= setTimeout(() => {
      this.speak();
    }, HUSH_MS);
  }

  /** The guest runs again. */
  speak(): void {
    clearTimeout(this.hushTimer);
    this.hushTimer = undefined;
    for (const event of this.held.splice(0)) this.tell(event);
  }

  emitPhase(phase: PhaseEvent): void {
    const view = this.migrations.get(phase.migrationId);
    if (view === undefined) this.migrations.set(phase.migrationId, { phase, progress: null });
    else view.phase = phase;
    this.emit(phase);
  }

  emitProgress(progress: ProgressEvent): void {
    const view = this.migrations.get(progress.migrationId);
    if (view !== undefined) view.progress = progress;
    this.emit(progress);
  }

  emitError(failure: Failure, migrationId: string | null): void {
    this.emit({ event: "error", code: failure.code, text: describe(failure), migrationId });
  }

  /** Throws GUEST_NOT_HERE. */
  resident(guestId: string): Resident {
    const resident = this.residents.get(guestId);
    if (resident !== undefined) return resident;
    throw new MigrationError({ code: "GUEST_NOT_HERE", guestId });
  }

  /** The guest asked for, or the only one. Throws GUEST_NOT_HERE or USAGE. */
  pick(guestId: string | undefined): Resident {
    if (guestId !== undefined) return this.resident(guestId);
    const [only, ...others] = this.residents.values();
    if (only !== undefined && others.length === 0) return only;
    const detail =
      only === undefined
        ? "no guest is on this host; there is nothing to migrate"
        : "several guests are on this host; say which with --guest";
    throw new MigrationError({ code: "USAGE", detail });
  }

  /** A guest threw, or its thread died: it stays for its memory to be looked at, but does not run. */
  guestFailed(guestId: string, failure: Failure): void {
    this.logger.error({ guestId }, describe(failure));
    this.residents.get(guestId)?.become("crashed");
    this.emitError(failure, null);
    this.onGuestFailed(guestId, failure);
  }

  private tell(event: Told): void {
    if (event.event === "phase") {
      this.logger.info({ migrationId: event.migrationId, phase: event.phase }, event.text);
    }
    for (const listener of [...this.listeners]) listener(event);
  }

  /** A migration has ended, whatever came of it. */
  onSettled: () => void = () => undefined;
  /** Whoever moves the guest must know as well. */
  onGuestFailed: (guestId: string, failure: Failure) => void = () => undefined;
}
