import type { GuestMemory } from "../../memory/access.js";
import { PAGE_BYTES } from "../../memory/geometry.js";
import { BadSetting, type GuestProgram } from "../program.js";
import { Settings } from "../settings.js";
import { SEED, seedOf } from "./common-settings.js";
import { type KeyValue, StoreBuilder } from "./kv-builder.js";
import { openStore, readRecord, updateRecord } from "./kv-store.js";
import { textRecords } from "./kv-text.js";
import { READ_SHARES, VALUE_BYTES, ycsbRecords } from "./kv-ycsb.js";
import { nextFraction, seedRandom, type Random } from "./random.js";
import { partition, sharePages, type Region } from "./region.js";
import { makeZipf, MAX_THETA, nextItem, type Zipf } from "./zipf.js";

interface KvCpu {
  /** Bytes: where this vCPU's store begins. */
  readonly address: number;
  readonly keys: Zipf;
  readonly readShare: number;
  readonly random: Random;
  reads: number;
  updates: number;
  /** Requests whose record was missing or not what was last written. Stays 0 in a sound guest. */
  corrupt: number;
}

/**
 * A key-value store under YCSB's load: mixes A, B and C over keys drawn by Zipf's distribution. Each
 * vCPU serves a store of its own. Keys, values and index live in guest memory, and nothing outside.
 */
export const kv: GuestProgram<KvCpu> = {
  name: "kv",
  summary: "a key-value store that serves reads and updates of real text or YCSB records",
  settings: {
    data: {
      summary: "text file or folder to load, again and again until full; empty for YCSB records",
      default: "",
    },
    records: { summary: "records to load, or auto for as many as fill holds", default: "auto" },
    fill: {
      summary: "memory taken by records and index: a percentage, a fraction or a size",
      default: "60%",
    },
    mix: { summary: "YCSB mix: A (50 % reads), B (95 %) or C (100 %)", default: "A" },
    theta: { summary: "skew of Zipf's distribution, 0 (none) to 0.999", default: "0.99" },
    rate: { summary: "requests per second (5000ops/s), or max", default: "max" },
    seed: SEED,
  },

  boot(memory, options, vcpuCount) {
    const settings = new Settings(kv, options);
    const seed = seedOf(settings);
    const theta = settings.number("theta", 0, MAX_THETA);
    const readShare = READ_SHARES[settings.choice("mix", ["A", "B", "C"])];
    const path = settings.text("data");
    const source = path === "" ? ycsbRecords(seedRandom(seed)) : textRecords(path);
    const regions = partition(memory.byteLength, vcpuCount);
    const counts = load(memory, regions, settings, source);
    return regions.map(({ address }, vcpu) => ({
      address,
      keys: makeZipf(counts[vcpu] ?? 0, theta, true),
      readShare,
      random: seedRandom(seed, vcpu + 1),
      reads: 0,
      updates: 0,
      corrupt: 0,
    }));
  },

  step(memory, cpu, operations) {
    const { keys, random, readShare } = cpu;
    const store = openStore(memory, cpu.address);
    for (let done = 0; done < operations; done++) {
      const number = nextItem(keys, random);
      const isRead = nextFraction(random) < readShare;
      if (isRead) cpu.reads++;
      else cpu.updates++;
      const isSound =
        store !== undefined &&
        (isRead ? readRecord(memory, store, number) : updateRecord(memory, store, number, random));
      if (!isSound) cpu.corrupt++;
    }
    return operations;
  },

  operationsPerSecond(options) {
    return new Settings(kv, options).unitRate("rate", VALUE_BYTES);
  },
};

/** Deals the records out to one store per region; returns how many each has. */
function load(
  memory: GuestMemory,
  regions: readonly Region[],
  settings: Settings,
  source: Iterable<KeyValue>,
): readonly number[] {
  const limitPages = sharePages(settings, "fill", memory.byteLength);
  const isAuto = settings.text("records") === "auto";
  const wanted = isAuto ? Infinity : settings.integer("records", regions.length, 2 ** 32 - 1);
  const fill = limitPages / (memory.byteLength / PAGE_BYTES);
  const builders = regions.map(
    ({ address, pageCount }) => new StoreBuilder(memory, address, pageCount * PAGE_BYTES * fill),
  );

  let loaded = 0;
  for (const record of source) {
    if (builders[loaded % builders.length]?.append(record) !== true) break;
    loaded++;
    if (loaded === wanted) break;
  }
  if (loaded < regions.length) {
    throw new BadSetting("fill", "the memory it leaves is too small for one record per vCPU");
  }
  if (!isAuto && loaded < wanted) {
    throw new BadSetting("records", `only ${String(loaded)} records fit; give more memory or fill`);
  }
  return builders.map((builder) => builder.finish());
}
