import type { EventEmitter } from "node:events";
import type { Clock } from "../clock.js";
import { failureOf } from "../failure.js";
import type { HostEvent } from "../host/events.js";
import type { HostService } from "../host/service.js";
import { EXIT, exitCodeOfOutcome, type ExitCode, worstOf } from "./exit-codes.js";
import { farewells } from "./farewell.js";
import { isFinal } from "./final-phase.js";
import {
  isMoving,
  isStillHere,
  stageForCancelling,
  onInterrupt,
  SECOND_PRESS_MS,
  type ActiveMigration,
} from "./interrupt.js";
import type { Presenter } from "./show/presenter.js";

export interface AttendOptions {
  readonly service: HostService;
  readonly presenter: Presenter;
  readonly clock: Clock;
  /** Emits `SIGINT`, `SIGTERM` and `SIGHUP`, as `process` does. */
  readonly signals: Pick<EventEmitter, "on" | "off">;
  /** Leave when the first migration has ended. */
  readonly once: boolean;
  /**
   * What the host does by itself. An exit code leaves with it, null stays; a rejection leaves too. It
   * gives up when `stop` aborts.
   */
  readonly work?: (stop: AbortSignal) => Promise<ExitCode | null>;
}

/**
 * Shows what a host does until there is a reason to leave: Ctrl-C, SIGTERM, or with `once` the end of a
 * migration. Says what becomes of the guests before it resolves; closing the host is the caller's.
 */
export function attend(options: AttendOptions): Promise<ExitCode> {
  return new Attendance(options).run();
}

class Attendance {
  private readonly active = new Map<string, ActiveMigration>();
  private readonly stop = new AbortController();
  private warnedAtMs: number | null = null;
  /** Since SIGTERM, what the worst end of a migration leaves with; null before. */
  private terminating: ExitCode | null = null;
  private leave: (code: ExitCode) => void = () => undefined;

  constructor(private readonly options: AttendOptions) {}

  async run(): Promise<ExitCode> {
    const { service, presenter, signals, work } = this.options;
    const left = new Promise<ExitCode>((resolve) => {
      this.leave = (code) => {
        if (this.stop.signal.aborted) return;
        for (const text of farewells(service.status().guests, [...this.active.values()])) {
          presenter.say(text);
        }
        resolve(code);
        // After that, so that work which fails because it was stopped comes too late to matter.
        this.stop.abort();
      };
    });
    const interrupt = (): void => {
      this.interrupt();
    };
    const terminate = (): void => {
      this.terminating ??= EXIT.DONE;
      this.cancel([...this.active.values()].filter(isStillHere), "SIGTERM");
      this.leaveIfQuiet();
    };
    const stopWatching = service.watch((event) => {
      presenter.show(event);
      this.follow(event);
    });
    signals.on("SIGINT", interrupt).on("SIGTERM", terminate).on("SIGHUP", terminate);
    try {
      return await Promise.race([left, this.workUntilLeft(left, work)]);
    } finally {
      signals.off("SIGINT", interrupt).off("SIGTERM", terminate).off("SIGHUP", terminate);
      stopWatching();
    }
  }

  private async workUntilLeft(
    left: Promise<ExitCode>,
    work: AttendOptions["work"],
  ): Promise<ExitCode> {
    const code = (await work?.(this.stop.signal)) ?? null;
    if (code !== null) this.leave(code);
    return left;
  }

  private follow(event: HostEvent): void {
    if (event.event === "phase") {
      const { migrationId, direction, guestId, guest } = event;
      const known = this.active.get(migrationId);
      if (isFinal(event)) {
        // A report comes next for what went out, and came before or never comes for what came in.
        if (known?.direction === "incoming") this.ended(migrationId, EXIT.DONE);
        return;
      }
      this.active.set(migrationId, {
        ...{ migrationId, direction, guestId, guest },
        stage: stageForCancelling(event) ?? known?.stage ?? null,
        arrived: event.phase === "observing",
        cancelling: known?.cancelling ?? false,
      });
    } else if (event.event === "report") {
      this.ended(event.migrationId, exitCodeOfOutcome(event.outcome));
    } else if (event.event === "error" && event.migrationId !== null) {
      const known = this.active.get(event.migrationId);
      const moving = known !== undefined && isMoving(known);
      this.ended(event.migrationId, moving ? EXIT.IN_DOUBT : EXIT.FAILED);
    }
  }

  private ended(migrationId: string, code: ExitCode): void {
    this.active.delete(migrationId);
    if (this.options.once) this.leave(code);
    else if (this.terminating !== null) {
      this.terminating = worstOf(this.terminating, code);
      this.leaveIfQuiet();
    }
  }

  private interrupt(): void {
    const { clock, presenter } = this.options;
    const sinceWarningMs = this.warnedAtMs === null ? null : clock.nowMs() - this.warnedAtMs;
    const decision = onInterrupt([...this.active.values()], sinceWarningMs);
    switch (decision.action) {
      case "cancel":
        this.cancel(decision.migrations, "Ctrl-C");
        return;
      case "warn":
        this.warnedAtMs = clock.nowMs();
        for (const { guest, guestId } of decision.migrations) {
          presenter.say(
            `guest ${guest} (${guestId}) is moving and cannot be cancelled; ` +
              `Ctrl-C again within ${String(SECOND_PRESS_MS / 1000)} s leaves and loses it`,
          );
        }
        return;
      case "abandon":
        this.leave(EXIT.IN_DOUBT);
        return;
      case "close":
        this.leave(this.unfinished() ? EXIT.FAILED : EXIT.DONE);
    }
  }

  private cancel(migrations: readonly ActiveMigration[], by: string): void {
    const { service, presenter, once } = this.options;
    for (const migration of migrations) {
      const name = `guest ${migration.guest} (${migration.guestId})`;
      presenter.say(`cancelling the migration of ${name}`);
      try {
        service.cancel(migration.migrationId, by);
        const stays = !once && this.terminating === null;
        if (stays) presenter.say(`${name} goes on running here`);
        // It may have ended at once; then it is no longer active.
        if (!this.active.has(migration.migrationId)) continue;
        this.active.set(migration.migrationId, { ...migration, cancelling: true });
      } catch (error) {
        failureOf(error);
        presenter.say(`${name} is moving and cannot be cancelled`);
      }
    }
  }

  private unfinished(): boolean {
    return [...this.active.values()].some(({ arrived }) => !arrived);
  }

  /** After SIGTERM: leaves as soon as no guest of this host is on its way. */
  private leaveIfQuiet(): void {
    const waiting = [...this.active.values()].filter(
      (migration) => isStillHere(migration) || isMoving(migration),
    );
    if (waiting.length === 0) this.leave(this.terminating ?? EXIT.DONE);
    for (const { guest } of waiting) {
      this.options.presenter.say(`closing when the migration of guest ${guest} has ended`);
    }
  }
}
