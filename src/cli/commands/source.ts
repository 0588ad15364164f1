import { setTimeout as delay } from "node:timers/promises";
import { failureOf } from "../../failure.js";
import type { MigrateRequest } from "../../host/service.js";
import { formatAddress } from "../../transport/address.js";
import type { Arguments } from "../arguments.js";
import { errorEvent } from "../error-event.js";
import { EXIT } from "../exit-codes.js";
import { loadHost } from "../load-host.js";
import { HOST_OPTIONS, LISTEN_OPTION, seconds, valued } from "../options.js";
import type { HostWork } from "../run-host.js";
import { readTransfer, TRANSFER_OPTION_NAMES, TRANSFER_OPTIONS } from "../transfer.js";
import type { Command } from "./command.js";

const DEFAULT_AFTER_MS = 2000;

export const source: Command = {
  options: {
    guest: valued("Name of a built-in guest, or path of a module (required)"),
    memory: valued("Guest memory, as 512MiB or 1GiB (required)"),
    vcpus: valued("Threads that run the guest [1]"),
    set: valued("key=value for the guest; repeat it for more"),
    "migrate-to": valued("HOST:PORT of the destination to migrate to"),
    after: valued(`Time to run before that, as 500ms or 1min [${seconds(DEFAULT_AFTER_MS)}]`),
    ...TRANSFER_OPTIONS,
    ...LISTEN_OPTION,
    ...HOST_OPTIONS,
  },

  async run(args) {
    const boot = {
      program: args.required(args.program("guest"), "--guest kv"),
      options: args.settings("set"),
      memoryBytes: args.required(args.memory("memory"), "--memory 1GiB"),
      vcpuCount: args.vcpus("vcpus") ?? 1,
    };
    const plan = readPlan(args);
    const once = args.flag("once");
    const { runHost } = await loadHost();
    return runHost(args, async (its) => {
      const { guestId } = await its.host.bootGuest(boot);
      if (plan === null) {
        its.presenter.say(`to migrate: tristage migrate --from ${its.control} --to HOST:PORT`);
        return null;
      }
      await delay(plan.afterMs, undefined, { signal: its.stop });
      const started = await start(its, { ...plan.request, guestId });
      return once && !started ? EXIT.FAILED : null;
    });
  },
};

/** The migration that the command line asks for, if any. */
function readPlan(args: Arguments): { afterMs: number; request: MigrateRequest } | null {
  args.onlyWith("migrate-to", ["after", ...TRANSFER_OPTION_NAMES]);
  const to = args.peerAddress("migrate-to");
  if (to === undefined) return null;
  return {
    afterMs: args.wait("after") ?? DEFAULT_AFTER_MS,
    request: { to: formatAddress(to), ...readTransfer(args) },
  };
}

/** Starts the migration; one that cannot start leaves the guest running here. */
async function start({ host, control, presenter }: HostWork, request: MigrateRequest) {
  try {
    await host.migrate(request);
    return true;
  } catch (error) {
    presenter.show(errorEvent(failureOf(error)));
    const again = `tristage migrate --from ${control} --to ${request.to}`;
    presenter.say(`the guest goes on running here; to try again: ${again}`);
    return false;
  }
}
