import type { EventEmitter } from "node:events";
import { describe, failureOf } from "../failure.js";
import { told } from "../host/events.js";
import type { MigrateRequest } from "../host/service.js";
import type { ControlClient, FollowedMigration } from "./control-client.js";
import { errorEvent } from "./error-event.js";
import { EXIT, exitCodeOfOutcome, type ExitCode } from "./exit-codes.js";
import type { Presenter } from "./show/presenter.js";

export interface FollowOptions {
  readonly client: Pick<ControlClient, "migrate" | "cancel">;
  readonly request: MigrateRequest;
  readonly presenter: Presenter;
  /** Emits `SIGINT`, as `process` does. */
  readonly signals: Pick<EventEmitter, "on" | "off">;
}

/**
 * Starts a migration on another host and shows it up to its report. The first Ctrl-C cancels it, the
 * second leaves it to go on. Rejects when the host does not start it, or does not say whether it does.
 */
export async function follow(options: FollowOptions): Promise<ExitCode> {
  const { client, request, presenter, signals } = options;
  const leaving = new AbortController();
  const started = client.migrate(request, leaving.signal);
  let pressed = false;
  const left = new Promise<ExitCode>((resolve) => {
    leaving.signal.addEventListener("abort", () => {
      presenter.say("left; the migration goes on, and tristage status shows it");
      resolve(EXIT.OTHER);
    });
  });
  const interrupt = (): void => {
    if (pressed) leaving.abort();
    else void cancel(started, options, leaving.signal);
    pressed = true;
  };
  signals.on("SIGINT", interrupt);
  try {
    return await Promise.race([left, showToTheEnd(started, presenter, leaving.signal)]);
  } finally {
    signals.off("SIGINT", interrupt);
  }
}

const UNKNOWN_START =
  "nobody knows here whether the migration has begun; ask that host with tristage status --from";

async function showToTheEnd(
  started: Promise<FollowedMigration>,
  presenter: Presenter,
  leaving: AbortSignal,
): Promise<ExitCode> {
  const { migrationId, events } = await started.catch((error: unknown) => {
    if (failureOf(error).code === "PEER_SILENT") presenter.say(UNKNOWN_START);
    throw error;
  });
  let cause = "it closed the connection";
  try {
    for await (const event of events) {
      presenter.show(event);
      if (event.event !== "report") continue;
      if (event.outcome === "cancelled") presenter.say("the guest goes on running on the source");
      return exitCodeOfOutcome(event.outcome);
    }
  } catch (error) {
    if (leaving.aborted) return EXIT.OTHER;
    cause = describe(failureOf(error));
  }
  const text = `the source was lost before it said how the migration ended (${cause}); ask both hosts with tristage status`;
  presenter.show(told({ event: "error", code: "CONNECTION_LOST", text, migrationId }));
  return EXIT.IN_DOUBT;
}

async function cancel(
  started: Promise<FollowedMigration>,
  { client, presenter }: FollowOptions,
  leaving: AbortSignal,
): Promise<void> {
  try {
    const { migrationId } = await started;
    presenter.say("cancelling the migration");
    await client.cancel(migrationId);
  } catch (error) {
    if (leaving.aborted) return;
    presenter.say(
      `cannot cancel: ${errorEvent(failureOf(error)).text}; Ctrl-C again leaves the migration to go on`,
    );
  }
}
