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
