import { PAGE_BYTES } from "../../src/memory/geometry.js";
import type { Figures } from "./figures.js";
import { relay } from "./link.js";
import { migrateOnce, type Plan, repeat } from "./run.js";

/** How long a guest takes to cross at its limit. */
const CROSSING_SECONDS = 4;
const SECOND_MS = 1000;

/** Bytes that crossed in one moment. */
interface Piece {
  readonly atMs: number;
  readonly byteCount: number;
}

/** How well `--max-bandwidth` is kept: what really crosses between two hosts, over the limit. */
export async function rate(figures: Figures, runs: number): Promise<void> {
  for (const mbitPerSecond of [1, 10, 100, 1000]) {
    for (const channels of [1, 4]) {
      const limit = (mbitPerSecond * 1e6) / 8;
      const all = await repeat(runs, () => crossing(limit, channels));
      const row = `limit of ${String(mbitPerSecond)} Mbit/s, ${String(channels)} channel${channels === 1 ? "" : "s"}`;
      const worst = all.map((pieces) => mostInOneSecond(pieces) / limit);
      figures.add(row, "worst second", "of limit", worst);
      const means = all.map((pieces) => meanRate(pieces) / limit);
      figures.add(row, "mean", "of limit", means);
    }
  }
}

/** What a guest that does nothing sends in stage one, as its pages come by. */
async function crossing(maxBandwidth: number, channels: number): Promise<readonly Piece[]> {
  const pieces: Piece[] = [];
  const kibibytes = Math.ceil((maxBandwidth * CROSSING_SECONDS) / 2 ** 19) * 512;
  const plan: Plan = {
    guest: ["--guest", "idle", "--memory", `${String(kibibytes)}KiB`],
    request: { maxBandwidth, channels },
    link: (address) =>
      relay(address, {}, (byteCount, connection) => {
        // The first connection carries control messages, which no limit counts; the others begin with a word that is less than a page.
        const isPages = connection > 0 && (pieces.length > 0 || byteCount >= PAGE_BYTES);
        if (isPages) pieces.push({ atMs: performance.now(), byteCount });
      }),
  };
  await migrateOnce(plan);
  return pieces;
}

/** The most bytes in any second, wherever it begins. */
function mostInOneSecond(pieces: readonly Piece[]): number {
  let most = 0;
  let sum = 0;
  let first = 0;
  for (const { atMs, byteCount } of pieces) {
    sum += byteCount;
    for (; atMs - pieces[first]!.atMs >= SECOND_MS; first += 1) sum -= pieces[first]!.byteCount;
    most = Math.max(most, sum);
  }
  return most;
}

/** Bytes per second from the first piece to the last; what was before the first is not known, so its bytes do not count. */
function meanRate(pieces: readonly Piece[]): number {
  const [first, ...others] = pieces;
  const last = others.at(-1);
  if (first === undefined || last === undefined) return Number.NaN;
  const sum = others.reduce((bytes, { byteCount }) => bytes + byteCount, 0);
  return (sum * SECOND_MS) / (last.atMs - first.atMs);
}
