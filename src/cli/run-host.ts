import { monotonicClock } from "../clock.js";
import type { Host } from "../host/host.js";
import type { Arguments } from "./arguments.js";
import { attend } from "./attend.js";
import type { ExitCode } from "./exit-codes.js";
import { HostSession, readHostOptions } from "./host-session.js";
import { openLogger } from "./open-logger.js";
import { openPresenter } from "./open-presenter.js";
import type { Presenter } from "./show/presenter.js";

/** What a host's own work has at hand. */
export interface HostWork {
  readonly host: Host;
  /** Its control address, as others reach it. */
  readonly control: string;
  readonly presenter: Presenter;
  readonly stop: AbortSignal;
}

/** Opens a host, shows what it does and does `work` until there is a reason to leave, and closes it. */
export async function runHost(
  args: Arguments,
  work: (its: HostWork) => Promise<ExitCode | null> = () => Promise.resolve(null),
): Promise<ExitCode> {
  const options = readHostOptions(args);
  const presenter = await openPresenter({ json: args.flag("json") });
  const logger = await openLogger({ verbose: args.flag("verbose") }, presenter);
  const session = await HostSession.open(options, logger);
  const { host, listening } = session;
  try {
    presenter.show(listening);
    host.getReady();
    return await attend({
      service: host,
      presenter,
      clock: monotonicClock,
      signals: process,
      once: args.flag("once"),
      work: (stop) => work({ host, control: listening.control, presenter, stop }),
    });
  } finally {
    await session.close();
    presenter.close();
  }
}
