import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { SEED, seedOf } from "./common-settings.js";
import { fillPages } from "./filler.js";
import { seedRandom } from "./random.js";
import { sharePages } from "./region.js";

interface IdleCpu {
  ticks: number;
}

/** Memory full of data that nobody touches: the least a migration can cost. */
export const idle: GuestProgram<IdleCpu> = {
  name: "idle",
  summary: "does next to nothing and touches no memory",
  settings: {
    fill: { summary: "memory filled at boot: a percentage, a fraction or a size", default: "100%" },
    content: {
      summary: "what it is filled with: random, zero (never written) or written-zero",
      default: "random",
    },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(idle, options);
    const pageCount = sharePages(settings, "fill", memory.byteLength);
    const content = settings.choice("content", ["random", "zero", "written-zero"]);
    const random = seedRandom(seedOf(settings));
    if (content === "random") fillPages(memory, 0, pageCount, random); // fresh memory is zero
    if (content === "written-zero") memory.fill(0, pageCount * PAGE_BYTES, 0);
    return Array.from({ length: vcpuCount }, () => ({ ticks: 0 }));
  },

  step(_memory, cpu, operations) {
    cpu.ticks += operations;
    return operations;
  },

  operationsPerSecond: () => 1000,
};
