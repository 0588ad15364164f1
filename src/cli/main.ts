#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

// V8 lets the young generation of a thread grow to 48 MiB. Ours make little garbage, and the memory of this
// machine is for guests. This holds for threads that are started from now on.
setFlagsFromString("--max-semi-space-size=1");
// V8 forgets the code of functions that have not run for a while; what was rehearsed for a handover would be gone
// when it comes.
setFlagsFromString("--no-flush-bytecode");
// V8 compiles a function when it is first called, and the code of a handover is first called in the handover.
setFlagsFromString("--no-lazy");
// V8 collects all garbage of a thread that has little to do, so as to give memory back; each time takes 10 ms or more of a
// core, also in the middle of a handover.
setFlagsFromString("--no-memory-reducer");
// The young generation of this thread grows all the same, and would by 14 MiB, only for what is loaded now. It may grow
// afterwards: to collect garbage takes half a millisecond of a handover (docs/adr/0027).
setFlagsFromString("--semi-space-growth-factor=1");
// zod writes and compiles a function for each kind of message when the first comes, on cores that the guest wants: that takes longer
// than to check all messages of a migration without.
const { config } = await import("zod");
config({ jitless: true });
const { EXIT } = await import("./exit-codes.js");
const { run } = await import("./run.js");
setFlagsFromString("--semi-space-growth-factor=2");

// A reader that has gone, as `head` does, must not take the guest with it.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

let code;
try {
  code = await run(process.argv.slice(2));
} catch (error) {
  console.error("tristage: this is a bug, please report it:", error);
  code = EXIT.OTHER;
}
// Whatever is still open then may not keep the process; what was printed still goes out.
process.stdout.write("", () => process.exit(code));
