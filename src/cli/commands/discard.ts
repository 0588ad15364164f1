import { forGuest } from "../for-guest.js";

export const discard = forGuest({
  summary: "End a guest that does not run, for good, and free its memory",
  carryOut: (host, { guestId }) => host.discard(guestId),
  done: "is gone, and its memory is free",
});
