import { forGuest } from "../for-guest.js";
import { flag } from "../options.js";

export const discard = forGuest({
  options: {
    force: flag("Also a guest in doubt, maybe the last there is of it, or stranded, which may run"),
  },
  carryOut: ({ host, guest, args }) => host.discard(guest.guestId, { force: args.flag("force") }),
  done: "is gone",
});
