import type { GuestSetting } from "../program.js";
import type { Settings } from "../settings.js";

/** Another seed gives another guest of the same kind. */
export const SEED: GuestSetting = {
  summary: "start of the pseudo-random numbers, a whole number",
  default: "1",
};

export const PAGE_RATE: GuestSetting = {
  summary: "pages per second (500pages/s) or bytes of pages per second (2MB/s, 16Mbit/s), or max",
  default: "max",
};

export const WORKING_SET_SUMMARY = "memory worked on: a percentage, a fraction or a size";

export function seedOf(settings: Settings): number {
  return settings.integer("seed", 0, 2 ** 32 - 1);
}
