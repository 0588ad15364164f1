import type { Policy } from "./algorithm.js";

/** One pass, then the handover, then the dirty pages (DOI 10.1155/2014/297127). */
export const threeStage: Policy = {
  algorithm: "three-stage",
  opening: "all-but-hot",
  mayLeavePages: true,
  afterPass: () => ({ then: "stop", reason: null }),
  ending: () => ({ rest: "after", choice: null }),
};
