import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { PAGE_RATE, SEED, seedOf, WORKING_SET_SUMMARY } from "./common-settings.js";
import { fillMemory } from "./filler.js";
import { seedRandom } from "./random.js";
import { workingSets, type Region } from "./region.js";

interface WriterCpu {
  readonly region: Region;
  readonly stride: number;
  /** The next page, and how many times all pages have been written. */
  page: number;
  lap: number;
}

/**
 * One operation writes 8 bytes of one page and goes on to the next page, round and round; or to the next but so many, as who
 * goes down the columns of a matrix that is stored by rows.
 */
export const sequentialWriter: GuestProgram<WriterCpu> = {
  name: "sequential-writer",
  summary: "writes to page after page, or every so many pages, round and round",
  settings: {
    rate: PAGE_RATE,
    stride: { summary: "pages from one that is written to the next", default: "1" },
    "working-set": { summary: WORKING_SET_SUMMARY, default: "25%" },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(sequentialWriter, options);
    const regions = workingSets(settings, "working-set", memory.byteLength, vcpuCount);
    const stride = settings.integer("stride", 1, memory.byteLength / PAGE_BYTES);
    fillMemory(memory, seedRandom(seedOf(settings)));
    return regions.map((region) => {
      return { region, stride: Math.min(stride, region.pageCount), page: 0, lap: 0 };
    });
  },

  step(memory, cpu, operations) {
    const { region, stride } = cpu;
    for (let done = 0; done < operations; done++) {
      const offset = (cpu.lap * 8) % PAGE_BYTES;
      const address = region.address + cpu.page * PAGE_BYTES + offset;
      memory.store32(address, cpu.lap);
      memory.store32(address + 4, cpu.page);
      cpu.page += stride;
      if (cpu.page < region.pageCount) continue;
      const column = (cpu.page % stride) + 1;
      cpu.page = column % stride;
      if (column === stride) cpu.lap++;
    }
    return operations;
  },

  operationsPerSecond(options) {
    return new Settings(sequentialWriter, options).unitRate("rate", PAGE_BYTES);
  },
};
