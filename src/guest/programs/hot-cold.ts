import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { PAGE_RATE, SEED, seedOf, WORKING_SET_SUMMARY } from "./common-settings.js";
import { fillMemory } from "./filler.js";
import { nextFraction, nextWord, seedRandom, type Random } from "./random.js";
import { workingSets } from "./region.js";
import { makeZipf, MAX_THETA, nextItem, type Zipf } from "./zipf.js";

interface HotColdCpu {
  /** Bytes: where this vCPU's pages begin. */
  readonly address: number;
  readonly pages: Zipf;
  readonly writeRatio: number;
  readonly random: Random;
  writes: number;
  /** Of all words read, modulo 2³²: a page that came late or old shows here. */
  sum: number;
}

/**
 * Few pages are hot and most are cold, as in real servers: one operation reads or writes in one
 * page, and pages are drawn by Zipf's distribution. By default one operation in five writes, between
 * YCSB's update-heavy mix (half) and its read-mostly one (a twentieth).
 */
export const hotCold: GuestProgram<HotColdCpu> = {
  name: "hot-cold",
  summary: "reads and writes few pages often and most pages rarely",
  settings: {
    rate: PAGE_RATE,
    "working-set": { summary: WORKING_SET_SUMMARY, default: "100%" },
    theta: { summary: "skew of Zipf's distribution, 0 (none) to 0.999", default: "0.99" },
    "write-ratio": { summary: "share of operations that write, 0 to 1", default: "0.2" },
    scatter: {
      summary: "hot pages lie all over the working set (yes) or side by side (no)",
      default: "yes",
    },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(hotCold, options);
    const seed = seedOf(settings);
    const theta = settings.number("theta", 0, MAX_THETA);
    const writeRatio = settings.number("write-ratio", 0, 1);
    const scattered = settings.choice("scatter", ["yes", "no"]) === "yes";
    const regions = workingSets(settings, "working-set", memory.byteLength, vcpuCount);
    fillMemory(memory, seedRandom(seed));
    return regions.map(({ address, pageCount }, vcpu) => ({
      address,
      pages: makeZipf(pageCount, theta, scattered),
      writeRatio,
      random: seedRandom(seed, vcpu + 1),
      writes: 0,
      sum: 0,
    }));
  },

  step(memory, cpu, operations) {
    const { random, pages, writeRatio } = cpu;
    for (let done = 0; done < operations; done++) {
      const page = nextItem(pages, random);
      const word = nextWord(random);
      const address = cpu.address + page * PAGE_BYTES + (word & 0xff8);
      if (nextFraction(random) < writeRatio) {
        memory.store32(address, word);
        memory.store32(address + 4, cpu.writes);
        cpu.writes++;
      } else {
        cpu.sum = (cpu.sum + memory.loadI32(address)) | 0;
      }
    }
    return operations;
  },

  operationsPerSecond(options) {
    return new Settings(hotCold, options).unitRate("rate", PAGE_BYTES);
  },
};
