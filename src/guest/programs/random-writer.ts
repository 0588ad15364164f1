import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { PAGE_RATE, SEED, seedOf, WORKING_SET_SUMMARY } from "./common-settings.js";
import { fillMemory } from "./filler.js";
import { nextBelow, nextWord, seedRandom, type Random } from "./random.js";
import { workingSets, type Region } from "./region.js";

interface WriterCpu {
  readonly region: Region;
  readonly random: Random;
  /** Whether it writes what is there already. */
  readonly isRewriting: boolean;
  writes: number;
}

/**
 * One operation writes 8 bytes somewhere in a page chosen at random: it dirties one page. As some programs do, it may write
 * the values that are there.
 */
export const randomWriter: GuestProgram<WriterCpu> = {
  name: "random-writer",
  summary: "writes to pages chosen at random",
  settings: {
    rate: PAGE_RATE,
    "working-set": { summary: WORKING_SET_SUMMARY, default: "25%" },
    values: { summary: "what it writes: new values, or the same that are there", default: "new" },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(randomWriter, options);
    const seed = seedOf(settings);
    const regions = workingSets(settings, "working-set", memory.byteLength, vcpuCount);
    const isRewriting = settings.choice("values", ["new", "same"]) === "same";
    fillMemory(memory, seedRandom(seed));
    return regions.map((region, vcpu) => ({
      region,
      random: seedRandom(seed, vcpu + 1),
      isRewriting,
      writes: 0,
    }));
  },

  step(memory, cpu, operations) {
    const { region, random, isRewriting } = cpu;
    for (let done = 0; done < operations; done++) {
      const page = nextBelow(random, region.pageCount);
      const word = nextWord(random);
      const address = region.address + page * PAGE_BYTES + (word & 0xff8);
      memory.store32(address, isRewriting ? memory.loadU32(address) : word);
      memory.store32(address + 4, isRewriting ? memory.loadU32(address + 4) : cpu.writes + done);
    }
    cpu.writes += operations;
    return operations;
  },

  operationsPerSecond(options) {
    return new Settings(randomWriter, options).unitRate("rate", PAGE_BYTES);
  },
};
