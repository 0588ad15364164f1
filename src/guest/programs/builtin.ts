import type { GuestProgram } from "../program.js";
import { hotCold } from "./hot-cold.js";
import { idle } from "./idle.js";
import { kv } from "./kv.js";
import { memtester } from "./memtester.js";
import { randomWriter } from "./random-writer.js";
import { sequentialWriter } from "./sequential-writer.js";

/** The guests that need no path. Each is given only the CPU state that its own boot made. */
export const BUILTIN_PROGRAMS: readonly GuestProgram[] = [
  idle,
  memtester,
  randomWriter,
  sequentialWriter,
  hotCold,
  kv,
];
