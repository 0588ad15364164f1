import { forGuest } from "../for-guest.js";

export const pause = forGuest({
  summary: "Stop a guest where it is",
  carryOut: ({ host, guest }) => host.pause(guest.guestId),
  done: "is paused",
});
