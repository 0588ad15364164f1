import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { PAGE_RATE, SEED, seedOf, WORKING_SET_SUMMARY } from "./common-settings.js";
import { fillMemory } from "./filler.js";
import { seedRandom } from "./random.js";
import { workingSets, type Region } from "./region.js";

interface WriterCpu {
  readonly region: Region;
  /** The next page, and how many times all pages have been written. */
  page: number;
  lap: number;
}

/** One operation writes 8 bytes of one page and goes on to the next page, round and round. */
export const sequentialWriter: GuestProgram<WriterCpu> = {
  name: "sequential-writer",
  summary: "writes to page after page in order, round and round",
  settings: {
    rate: PAGE_RATE,
    "working-set": { summary: WORKING_SET_SUMMARY, default: "25%" },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(sequentialWriter, options);
    const regions = workingSets(settings, "working-set", memory.byteLength, vcpuCount);
    fillMemory(memory, seedRandom(seedOf(settings)));
    return regions.map((region) => ({ region, page: 0, lap: 0 }));
  },

  step(memory, cpu, operations) {
    const { region } = cpu;
    for (let done = 0; done < operations; done++) {
      const offset = (cpu.lap * 8) % PAGE_BYTES;
      const address = region.address + cpu.page * PAGE_BYTES + offset;
      memory.store32(address, cpu.lap);
      memory.store32(address + 4, cpu.page);
      cpu.page++;
      if (cpu.page === region.pageCount) {
        cpu.page = 0;
        cpu.lap++;
      }
    }
    return operations;
  },

  operationsPerSecond(options) {
    return new Settings(sequentialWriter, options).unitRate("rate", PAGE_BYTES);
  },
};
