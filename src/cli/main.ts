#!/usr/bin/env node
import { EXIT } from "./exit-codes.js";
import { run } from "./run.js";

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
