import type { Policy } from "./algorithm.js";

/**
 * The guest is handed over at once, and its pages follow (Hines & Gopalan, VEE 2009). Pages that
 * were never written are zero on both sides, and the destination is told which they are: nobody
 * would send them, and a fault on one of them would measure nothing but our own neglect.
 */
export const postCopy: Policy = {
  algorithm: "post-copy",
  opening: "never-written",
  mayLeavePages: true,
  afterPass: () => ({ then: "stop", reason: null }),
  ending: () => ({ rest: "after", choice: null }),
};
