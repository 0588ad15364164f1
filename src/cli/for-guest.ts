import type { GuestStatus } from "../host/events.js";
import { type Arguments, usage } from "./arguments.js";
import type { Command } from "./commands/command.js";
import { ControlClient } from "./control-client.js";
import { EXIT } from "./exit-codes.js";
import { TOKEN_OPTION, valued } from "./options.js";
import { printable } from "./show/sentences.js";

/** What a person asks a host to do with one of its guests. */
export interface GuestWish {
  readonly summary: string;
  readonly options?: Command["options"];
  /** Rejects with what the host says against it. */
  readonly carryOut: (host: ControlClient, guest: GuestStatus, args: Arguments) => Promise<void>;
  /** What is true of the guest then, as in "is paused". */
  readonly done: string;
}

/** A command that carries out `wish` for the guest that is named, or for the only one. */
export function forGuest({ summary, options, carryOut, done }: GuestWish): Command {
  return {
    summary,
    options: {
      from: valued("HOST:PORT for control of the host that has the guest (required)"),
      guest: valued("Id of the guest, if the host has several"),
      ...options,
      ...TOKEN_OPTION,
    },

    async run(args) {
      const from = args.required(args.peerAddress("from"), "--from HOST:PORT");
      const host = new ControlClient(from, args.token("token-file"));
      const guest = pick((await host.status()).guests, args.text("guest"));
      await carryOut(host, guest, args);
      process.stdout.write(`${printable(`${nameOf(guest)} ${done}`)}\n`);
      return EXIT.DONE;
    },
  };
}

/** As people are told of a guest. */
export function nameOf({ guest, guestId }: Pick<GuestStatus, "guest" | "guestId">): string {
  return `guest ${guest} (${guestId})`;
}

/** Throws USAGE. */
function pick(guests: readonly GuestStatus[], guestId: string | undefined): GuestStatus {
  const found = guests.filter((it) => guestId === undefined || it.guestId === guestId);
  const [only, ...others] = found;
  if (only === undefined) {
    const which = guestId === undefined ? "no guest" : `no guest ${guestId}`;
    throw usage(`${which} is on that host; tristage status shows where guests are`);
  }
  if (others.length > 0) {
    const ids = found.map((it) => it.guestId).join(", ");
    throw usage(`several guests are on that host; say with --guest which of ${ids}`);
  }
  return only;
}
