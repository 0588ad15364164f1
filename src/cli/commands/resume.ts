import { usage } from "../arguments.js";
import { forGuest, nameOf } from "../for-guest.js";
import { flag } from "../options.js";

export const resume = forGuest({
  summary: "Let a paused guest go on, or one in doubt that runs nowhere else",
  options: {
    "in-doubt": flag("The guest is in doubt, and you have made sure that it runs nowhere else"),
  },
  async carryOut(host, guest, args) {
    if (guest.state === "inDoubt" && !args.flag("in-doubt")) {
      throw usage(
        `${nameOf(guest)} is in doubt: its destination may run it. Make sure that it does not, then add --in-doubt`,
      );
    }
    await host.resume(guest.guestId);
  },
  done: "runs",
});
