import type { Policy } from "./algorithm.js";

/** The guest stops, everything is sent, the guest is handed over whole. */
export const stopAndCopy: Policy = {
  algorithm: "stop-and-copy",
  opening: "nothing",
  mayLeavePages: false,
  afterPass: () => ({ then: "stop", reason: null }),
  ending: () => ({ rest: "before", choice: null }),
};
