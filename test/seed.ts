import { randomInt } from "node:crypto";
import fc from "fast-check";

const given = process.env["TRISTAGE_SEED"];

/** What every random choice of this run is drawn from: TRISTAGE_SEED, or a new one that is printed. */
export const seed = given === undefined ? randomInt(2 ** 31) : readSeed(given);
if (given === undefined) console.log(`seed ${String(seed)} (TRISTAGE_SEED repeats it)`);

fc.configureGlobal({ seed });

function readSeed(text: string): number {
  const value = Number(text);
  if (text !== "" && Number.isInteger(value)) return value;
  throw new Error(`TRISTAGE_SEED is a whole number, not "${text}"`);
}

/** Numbers from 0 to `below` - 1, the same ones for the same seed (xorshift32, G. Marsaglia 2003). */
export function randomNumbers(ownSeed: number): (below: number) => number {
  // Zero is xorshift's one fixed point; the multiplication spreads seeds that are close together.
  let state = Math.imul(ownSeed ^ 0x5bd1e995, 0x9e3779b1) || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
