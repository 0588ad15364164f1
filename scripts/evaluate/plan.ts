import { PAGE_BYTES } from "../../src/memory/geometry.js";
import type { MigrateRequest } from "../../src/host/service.js";

/** What is measured: every point, every way to move its guest, and what a run of it is told. Pure data. */

export const PARTS = ["figures", "sweep", "degradation", "ablation"] as const;
export type Part = (typeof PARTS)[number];

/** All page data keeps to this, in bytes per second: 1 Gbit/s. Two slow cores carry that, and a guest beside it that writes as much. */
export const BANDWIDTH = 125_000_000;

const MIB = 2 ** 20;

/**
 * Average bytes of pages that are written per byte that the link carries. At the high ratio a guest writes as much as the link
 * carries: pre-copy converges only as far as the guest writes to the same pages again.
 */
export const LOW_RATIO = 0.25;
export const MIDDLE_RATIO = 0.6;
export const HIGH_RATIO = 1;

/** One way to move a guest. */
export interface Way {
  /** Its column in the tables and its colour in the charts. */
  readonly name: string;
  readonly request: Pick<MigrateRequest, "algorithm" | "tuning">;
}

/** One guest, and the ways in which it is moved. */
export interface Point {
  readonly part: Part;
  readonly name: string;
  readonly memoryBytes: number;
  /** As it was meant; null where nothing was meant. */
  readonly ratio: number | null;
  readonly guest: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly vcpuCount: number;
  /** Of the link between the hosts; 0 is loopback itself. */
  readonly roundTripMs: number;
  readonly ways: readonly Way[];
}

export const PRE_COPY: Way = { name: "pre-copy", request: { algorithm: "pre-copy" } };
export const POST_COPY: Way = { name: "post-copy", request: { algorithm: "post-copy" } };
/** Nothing is deferred, and whatever is dirty travels again: the method of the paper. */
export const PAPER: Way = {
  name: "three-stage (paper)",
  request: { tuning: { defer: false, unchanged: false, delta: false } },
};
export const SHIPPED: Way = { name: "three-stage", request: {} };
const STOP_AND_COPY: Way = { name: "stop-and-copy", request: { algorithm: "stop-and-copy" } };

const NO_DELTAS: Way = { name: "no deltas", request: { tuning: { delta: false } } };
const NO_DEFERRAL: Way = { name: "no deferral", request: { tuning: { defer: false } } };
const NO_UNCHANGED_CHECK: Way = {
  name: "no unchanged check",
  request: { tuning: { unchanged: false } },
};
const POST_COPY_WITHOUT_PREPULL: Way = {
  name: "post-copy, no prepull",
  request: { algorithm: "post-copy", tuning: { prepull: false } },
};

/** Everything on, then each part off in turn. */
const ABLATIONS: readonly Way[] = [
  SHIPPED,
  { name: "no prepull", request: { tuning: { prepull: false } } },
  NO_DELTAS,
  NO_DEFERRAL,
  NO_UNCHANGED_CHECK,
  { name: "chunks of 64 KiB", request: { tuning: { chunkPages: 16 } } },
];

export function planOf(part: Part, quick: boolean): readonly Point[] {
  switch (part) {
    case "figures":
      return (quick ? [128, 256] : [128, 256, 512, 1024]).flatMap((mib) =>
        [LOW_RATIO, MIDDLE_RATIO, HIGH_RATIO].map((ratio) => memtester(mib * MIB, ratio)),
      );
    case "sweep":
      return (quick ? [0, 0.5, 1, 1.5] : [0, 0.25, 0.5, 0.75, 1, 1.5, 2]).map((ratio) =>
        randomWriter(usualBytes(quick), ratio),
      );
    case "degradation":
      return [...SERVICES, BUSY_SERVICE].map((guest) => ({
        part,
        ...guest(quick),
        ways: [STOP_AND_COPY, PRE_COPY, POST_COPY, SHIPPED],
      }));
    case "ablation":
      return [
        ...[...SERVICES, WALKER, FAR_WALKERS, FAR_STRIDER].map((guest) => {
          return { part, ...guest(quick), ways: ABLATIONS };
        }),
        { part, ...REWRITER(quick), ways: [SHIPPED, NO_DEFERRAL, NO_UNCHANGED_CHECK] },
        // Writes whole pages, of which no delta is worth sending: what it rewrites is deferred.
        {
          ...memtester(usualBytes(quick), MIDDLE_RATIO),
          part,
          ways: [SHIPPED, NO_DEFERRAL, NO_DELTAS],
        },
        {
          part,
          ...FAR_STRIDER(quick),
          name: `${FAR_STRIDER(quick).name}, by post-copy`,
          ways: [POST_COPY, POST_COPY_WITHOUT_PREPULL],
        },
      ];
  }
}

/** Memory of every guest but those of the figures. */
function usualBytes(quick: boolean): number {
  return (quick ? 256 : 512) * MIB;
}

function pagesPerSecond(ratio: number): string {
  // A guest cannot be told to write nothing; one page a second is as good.
  return `${String(Math.max(1, Math.round((ratio * BANDWIDTH) / PAGE_BYTES)))}pages/s`;
}

/**
 * memtester on a quarter of memory, the rest full of data. It writes half of the time and verifies the other
 * half, so its pace is twice the rate at which it makes pages dirty.
 */
function memtester(memoryBytes: number, ratio: number): Point {
  return {
    part: "figures",
    name: `memtester ${String(memoryBytes / MIB)} MiB, ratio ${String(ratio)}`,
    memoryBytes,
    ratio,
    guest: "memtester",
    settings: { share: "25%", fill: "100%", rate: pagesPerSecond(2 * ratio) },
    vcpuCount: 1,
    roundTripMs: 0,
    ways: [PRE_COPY, POST_COPY, PAPER, SHIPPED],
  };
}

/** Writes to half of memory without any order: nothing in it favours an algorithm. */
function randomWriter(memoryBytes: number, ratio: number): Point {
  return {
    part: "sweep",
    name: `random-writer, ratio ${String(ratio)}`,
    memoryBytes,
    ratio,
    guest: "random-writer",
    settings: { "working-set": "50%", rate: pagesPerSecond(ratio) },
    vcpuCount: 1,
    roundTripMs: 0,
    ways: [PRE_COPY, POST_COPY, SHIPPED],
  };
}

type Service = Omit<Point, "part" | "ways">;

function service(name: string, guest: string, settings: Point["settings"]) {
  return (quick: boolean): Service => {
    const memoryBytes = usualBytes(quick);
    return { name, memoryBytes, ratio: null, guest, settings, vcpuCount: 1, roundTripMs: 0 };
  };
}

/** Guests whose operations somebody waits for, at a pace that leaves two cores room for the migration. */
const SERVICES: readonly ((quick: boolean) => Service)[] = [
  service("kv, mix A", "kv", { mix: "A", rate: "100000" }),
  service("hot-cold", "hot-cold", { rate: "200000" }),
];

/** As the first, at a pace at which `estimate` finds the high ratio where it has 512 MiB; with `--quick` it is lower. */
const BUSY_SERVICE = (quick: boolean): Service => ({
  ...service(`kv, mix A, ratio ${String(HIGH_RATIO)}`, "kv", { mix: "A", rate: "160000" })(quick),
  ratio: HIGH_RATIO,
});

/** Writes page after page. */
const WALKER = service("sequential-writer", "sequential-writer", { rate: "20000pages/s" });

/**
 * Writes to all of memory, in no order, the values that are there: what is dirty has not changed. It writes a fifth of what the
 * link carries, so that few pages are written again soon, and most that are dirty were sent rather than deferred.
 */
const REWRITER = service("random-writer, the same values", "random-writer", {
  "working-set": "100%",
  rate: pagesPerSecond(0.2),
  values: "same",
});

/** Goes down the columns of a matrix with rows of 4 MiB, where a fault takes long: no push keeps up with it, and prepull is for it. */
const FAR_STRIDER = (quick: boolean): Service => {
  const walker = WALKER(quick);
  return {
    ...walker,
    name: "sequential-writer, stride of 4 MiB, 20 ms round trip",
    settings: { ...walker.settings, stride: "1024" },
    roundTripMs: 20,
  };
};

/** Four walks at once, of which the push can follow one, where a fault takes long. */
const FAR_WALKERS = (quick: boolean): Service => ({
  ...WALKER(quick),
  name: "sequential-writer, 4 vCPUs, 20 ms round trip",
  vcpuCount: 4,
  roundTripMs: 20,
});
