import { forGuest } from "../for-guest.js";
import { flag } from "../options.js";

export const resume = forGuest({
  options: {
    "in-doubt": flag("Also a guest in doubt: you have made sure that it runs nowhere else"),
  },
  carryOut: ({ host, guest, args }) =>
    host.resume(guest.guestId, { inDoubt: args.flag("in-doubt") }),
  done: "runs",
});
