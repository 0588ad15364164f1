import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { loadProgram } from "../../src/guest/load-program.js";
import { rehearse } from "../../src/guest/rehearsal.js";
import type { GuestMemory } from "../../src/memory/access.js";
import { EpochMember } from "../../src/memory/epoch.js";
import { GuestRam } from "../../src/memory/ram.js";
import { RawMemory } from "../../src/memory/raw-memory.js";
import { TrackedMemory } from "../../src/memory/tracked-memory.js";
import { type Bench, type Figures, median } from "./figures.js";

/** What write tracking costs a guest: the same program on plain and on tracked memory, in turn. */

const RAM_BYTES = 256 * 2 ** 20;
const SECONDS = 1;
const GUESTS: readonly (readonly [name: string, options: Record<string, string>])[] = [
  ["sequential-writer", {}],
  ["random-writer", {}],
  ["hot-cold", {}],
  ["memtester", {}],
  ["kv", { mix: "A" }],
  ["kv", { mix: "C" }],
];

interface Task {
  readonly guest: string;
  readonly options: Record<string, string>;
  readonly tracked: boolean;
}

export const TRACKING: Bench = { tracking };

async function tracking(figures: Figures, runs: number): Promise<void> {
  for (const [guest, options] of GUESTS) {
    const row = [guest, ...Object.values(options)].join(" ");
    const off: number[] = [];
    const on: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      off.push(await measure({ guest, options, tracked: false }));
      on.push(await measure({ guest, options, tracked: true }));
    }
    figures.add(row, "tracking off", "op/s", off);
    figures.add(row, "tracking on", "op/s", on);
    const ratios = on.map((value, index) => value / (off[index] ?? Number.NaN));
    figures.add(row, "on / off", "ratio", ratios);
  }
}

/** Operations per second, in a thread of its own: each sees one kind of memory, as a vCPU does. */
function measure(task: Task): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

function createMemory(tracked: boolean): { memory: GuestMemory; safepoint: () => void } {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  if (!tracked) {
    return { memory: new RawMemory(ram.buffer), safepoint: () => undefined };
  }
  const epoch = new EpochMember(ram.words, 0);
  epoch.rejoin();
  const never = () => {
    throw new Error("nothing is missing here");
  };
  const waits = { awaitPage: never, foundPage: never, futexWait: never };
  return {
    memory: new TrackedMemory(ram, epoch, waits),
    safepoint: () => {
      epoch.acknowledge();
    },
  };
}

async function run({ guest, options, tracked }: Task): Promise<number> {
  const { program } = await loadProgram(guest);
  // As a vCPU's thread does: what V8 has seen of faults stays in its code.
  if (tracked) rehearse();
  const { memory, safepoint } = createMemory(tracked);
  const [cpu] = program.boot(memory, options, 1);
  if (cpu === undefined) throw new Error("a guest with one vCPU has one CPU state");
  const slices: number[] = [];
  const endMs = performance.now() + SECONDS * 1000;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    let done = 0;
    for (let slice = 0; slice < 50; slice += 1) {
      safepoint();
      done += program.step(memory, cpu, 1000);
    }
    slices.push((done * 1000) / (performance.now() - startMs));
  }
  return median(slices);
}

if (!isMainThread) {
  parentPort?.postMessage(await run(workerData as Task));
}
