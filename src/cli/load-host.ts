import { setFlagsFromString } from "node:v8";

/**
 * Loads what a host is made of, and gives what opens one. V8 is told first how a host's code is to be treated, which is not how a command is that
 * asks one question and ends; it holds for all that is loaded from then on, and for threads that start from then on.
 */
export async function loadHost() {
  // V8 lets the young generation of a thread grow to 48 MiB. Ours make little garbage, and the memory of this
  // machine is for guests.
  setFlagsFromString("--max-semi-space-size=1");
  // V8 forgets the code of functions that have not run for a while; what was rehearsed for a handover would be gone
  // when it comes.
  setFlagsFromString("--no-flush-bytecode");
  // V8 compiles a function when it is first called, and the code of a handover is first called in the handover.
  setFlagsFromString("--no-lazy");
  // V8 collects all garbage of a thread that has little to do, so as to give memory back; each time takes 10 ms or more of a
  // core, also in the middle of a handover.
  setFlagsFromString("--no-memory-reducer");
  // zod writes and compiles a function for each kind of message when the first comes, on cores that the guest wants: that takes longer
  // than to check all messages of a migration without.
  const { config } = await import("zod");
  config({ jitless: true });
  const { runHost } = await import("./run-host.js");
  // What main.ts forbade: to collect garbage takes half a millisecond of a handover (docs/adr/0027).
  setFlagsFromString("--semi-space-growth-factor=2");
  return { runHost };
}
