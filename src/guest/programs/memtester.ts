import { PAGE_BYTES } from "../../memory/geometry.js";
import type { GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { SEED, seedOf } from "./common-settings.js";
import { fillPages } from "./filler.js";
import { PASSES, type Halves, type PassState } from "./memtester-passes.js";
import { nextWord, seedRandom } from "./random.js";
import { sharePages, workingSets } from "./region.js";

/** One operation is at one word in each half, so this many make a page. */
const OPERATIONS_PER_PAGE = PAGE_BYTES / 8;

interface MemtesterCpu extends PassState {
  readonly halves: Halves;
  /** Position in `PASSES`. */
  pass: number;
  verifying: boolean;
  /** The next word of each half. */
  word: number;
  /** How many times all passes were made. */
  loops: number;
}

/**
 * Tests its memory as memtester does and so tests the migration too: a page that came wrong, late
 * or not at all is counted in `errors`. One operation writes or verifies one word of each half.
 */
export const memtester: GuestProgram<MemtesterCpu> = {
  name: "memtester",
  summary: "tests memory with the patterns of memtester and counts the words that fail",
  settings: {
    share: { summary: "memory tested: a percentage, a fraction or a size", default: "50%" },
    rate: {
      summary: "pages that are written or verified per second (500pages/s, 2MB/s), or max",
      default: "max",
    },
    fill: { summary: "memory filled with random bytes before the first test", default: "0%" },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(memtester, options);
    const seed = seedOf(settings);
    const regions = workingSets(settings, "share", memory.byteLength, vcpuCount);
    fillPages(memory, 0, sharePages(settings, "fill", memory.byteLength), seedRandom(seed));
    return regions.map(({ address, pageCount }, vcpu) => {
      const halfBytes = (pageCount * PAGE_BYTES) / 2;
      const random = seedRandom(seed, vcpu + 1);
      return {
        halves: { first: address, second: address + halfBytes, wordCount: halfBytes / 4 },
        pass: 0,
        round: 0,
        operand: nextWord(random),
        verifying: false,
        word: 0,
        loops: 0,
        errors: 0,
        firstError: null,
        random,
      };
    });
  },

  step(memory, cpu, operations) {
    const { halves } = cpu;
    for (let left = operations; left > 0;) {
      const pass = PASSES[cpu.pass];
      if (pass === undefined) throw new RangeError(`memtester has no pass ${String(cpu.pass)}`);
      const end = Math.min(halves.wordCount, cpu.word + left);
      const sweep = cpu.verifying ? pass.verify : pass.write;
      sweep(memory, halves, cpu.word, end, cpu);
      left -= end - cpu.word;
      cpu.word = end;
      if (end === halves.wordCount) nextSweep(cpu, pass.rounds);
    }
    return operations;
  },

  operationsPerSecond(options) {
    const pages = new Settings(memtester, options).unitRate("rate", PAGE_BYTES);
    return pages === undefined ? undefined : pages * OPERATIONS_PER_PAGE;
  },
};

/** Write, verify, next round, next pass, next loop. */
function nextSweep(cpu: MemtesterCpu, rounds: number): void {
  cpu.word = 0;
  cpu.verifying = !cpu.verifying;
  if (cpu.verifying) return;
  cpu.operand = nextWord(cpu.random);
  cpu.round++;
  if (cpu.round < rounds) return;
  cpu.round = 0;
  cpu.pass++;
  if (cpu.pass < PASSES.length) return;
  cpu.pass = 0;
  cpu.loops++;
}
