import { failureOf, MigrationError } from "../failure.js";
import type { GuestEvent, GuestStatus, HostStatus } from "../host/events.js";
import { type Arguments, usage } from "./arguments.js";
import type { Command } from "./commands/command.js";
import { ControlClient } from "./control-client.js";
import { EXIT } from "./exit-codes.js";
import { JSON_OPTION, TOKEN_OPTION } from "./options.js";
import { GUEST_OPTIONS, readFrom } from "./route.js";
import { printable } from "./show/sentences.js";

/** What is at hand when a wish is carried out. */
export interface AtHand {
  readonly host: ControlClient;
  /** As the host told it just now, the guest among it. */
  readonly status: HostStatus;
  readonly guest: GuestStatus;
  readonly args: Arguments;
}

/** What a person asks a host to do with one of its guests. */
export interface GuestWish {
  readonly options?: Command["options"];
  /** Rejects with what the host says against it. */
  readonly carryOut: (its: AtHand) => Promise<void>;
  /** What people are told of the guest then, as in "is paused". */
  readonly done: string;
}

const MAY_COME_YET = "that host may do it yet; tristage status --from tells";

/** A command that carries out `wish` for the guest that is named, or for the only one. */
export function forGuest({ options, carryOut, done }: GuestWish): Command {
  return {
    options: {
      ...GUEST_OPTIONS,
      ...options,
      ...TOKEN_OPTION,
      ...JSON_OPTION,
    },

    async run(args) {
      const host = new ControlClient(readFrom(args), args.token("token-file"));
      const status = await host.status();
      const guest = pick(status.guests, args.text("guest"));
      await carryOut({ host, status, guest, args }).catch((error: unknown) => {
        const isSilent = failureOf(error).code === "PEER_SILENT";
        if (isSilent) process.stderr.write(`tristage: ${MAY_COME_YET}\n`);
        throw error;
      });
      const line = args.flag("json")
        ? JSON.stringify(await asItIsNow(host, guest))
        : printable(`guest ${guest.guest} (${guest.guestId}) ${done}`);
      process.stdout.write(`${line}\n`);
      return EXIT.DONE;
    },
  };
}

/** What its host says of a guest that was asked for something; one that is gone was discarded. */
async function asItIsNow(host: ControlClient, before: GuestStatus): Promise<GuestEvent> {
  const { guests } = await host.status();
  const now = guests.find(({ guestId }) => guestId === before.guestId);
  const { guestId, guest, generation } = now ?? before;
  return { event: "guest", guestId, guest, state: now?.state ?? "discarded", generation };
}

/** Throws GUEST_NOT_HERE or USAGE. */
function pick(guests: readonly GuestStatus[], guestId: string | undefined): GuestStatus {
  const found = guests.filter((it) => guestId === undefined || it.guestId === guestId);
  const [only, ...others] = found;
  if (only === undefined) {
    throw guestId === undefined
      ? usage("no guest is on that host; tristage status shows where guests are")
      : new MigrationError({ code: "GUEST_NOT_HERE", guestId });
  }
  if (others.length > 0) {
    const ids = found.map((it) => it.guestId).join(", ");
    throw usage(`several guests are on that host; say with --guest which of ${ids}`);
  }
  return only;
}
