#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

// V8 sizes the young generation of this thread before any code of ours can say how large it may be, and it would grow by
// 14 MiB, only for what is loaded now. `loadHost` lets it grow afterwards (docs/adr/0027).
setFlagsFromString("--semi-space-growth-factor=1");
const { EXIT } = await import("./exit-codes.js");
const { run } = await import("./run.js");

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
