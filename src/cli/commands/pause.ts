import { forGuest } from "../for-guest.js";

export const pause = forGuest({
  carryOut: ({ host, guest }) => host.pause(guest.guestId),
  done: "is paused",
});
