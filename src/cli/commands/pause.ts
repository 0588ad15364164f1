import { forGuest } from "../for-guest.js";

export const pause = forGuest({
  summary: "Stop a guest where it is",
  carryOut: (host, { guestId }) => host.pause(guestId),
  done: "is paused",
});
