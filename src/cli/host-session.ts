import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { openControlEndpoint, type ControlEndpoint } from "../host/control-endpoint.js";
import { enterDirectory } from "../host/directory.js";
import { type ListeningEvent, type Told, told } from "../host/events.js";
import { Host } from "../host/host.js";
import { formatAddress, type Address } from "../transport/address.js";
import type { Arguments } from "./arguments.js";

const ANY_LOCAL_PORT: Address = { host: "127.0.0.1", port: 0 };

/** What `tristage dest` and `tristage source` read alike. */
export function readHostOptions(args: Arguments) {
  const listen = args.listenAddress("listen") ?? null;
  return {
    listen,
    control: args.listenAddress("control") ?? ANY_LOCAL_PORT,
    token: args.token("token-file"),
    insecure: args.flag("insecure"),
    state: stateDirectory(args.text("state-dir"), listen),
    askMs: args.wait("ask-for"),
  };
}

type HostSessionOptions = ReturnType<typeof readHostOptions>;

/** A host with its control endpoint, entered where `tristage status` finds it. */
export class HostSession {
  private constructor(
    readonly host: Host,
    private readonly endpoint: ControlEndpoint,
    private readonly closers: readonly (() => Promise<unknown>)[],
  ) {}

  static async open(options: HostSessionOptions, logger: Logger): Promise<HostSession> {
    const { listen, control, token, insecure, state, askMs } = options;
    const stateDirectory = state.path;
    const shared = { token, insecure, logger };
    const asking = askMs === undefined ? {} : { askMs };
    const host = await Host.open({ listen, stateDirectory, ...asking, ...shared });
    try {
      const endpoint = await openControlEndpoint(host, { address: control, ...shared });
      const leaveDirectory = await enter(endpoint.address, logger);
      return new HostSession(host, endpoint, [
        () => leaveDirectory(),
        // The host first: whoever follows a migration then hears how it ended.
        () => host.close(),
        () => endpoint.close(),
        () => forget(state),
      ]);
    } catch (error) {
      await host.close();
      await forget(state);
      throw error;
    }
  }

  get listening(): Told<ListeningEvent> {
    const { id, address } = this.host;
    return told({
      event: "listening",
      host: id,
      address: address === null ? null : formatAddress(address),
      control: formatAddress(this.endpoint.address),
    });
  }

  async close(): Promise<void> {
    for (const close of this.closers) await close();
  }
}

interface StateDirectory {
  readonly path: string;
  readonly lasting: boolean;
}

/**
 * Where a host keeps its journal; `lasting` when a later host on the same address shall find it again, whatever command
 * starts it: it has to answer for the guests that arrived here.
 */
function stateDirectory(chosen: string | undefined, listen: Address | null): StateDirectory {
  if (chosen !== undefined) return { path: chosen, lasting: true };
  const configured = process.env["XDG_STATE_HOME"] ?? "";
  const home = configured === "" ? join(homedir(), ".local", "state") : configured;
  const lasting = listen !== null && listen.port !== 0;
  const place = lasting ? formatAddress(listen).replaceAll(/[^\w.-]+/g, "-") : randomUUID();
  return { path: join(home, "tristage", `host-${place}`), lasting };
}

/** Nobody can come back to a host without an address of its own, so its journal ends with it. */
async function forget({ path, lasting }: StateDirectory): Promise<void> {
  if (!lasting) await rm(path, { recursive: true, force: true });
}

async function enter(control: Address, logger: Logger): Promise<() => Promise<void>> {
  try {
    return await enterDirectory(formatAddress(control));
  } catch (error) {
    logger.warn({ err: error }, "tristage status will not find this host without --from");
    return () => Promise.resolve();
  }
}
