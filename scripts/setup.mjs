// Makes a fresh clone ready: installs from the lock file when that has changed, then builds.
// Plain JavaScript without dependencies, because nothing is installed or built before it ran.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`tristage needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

/** Runs npm quietly; what it prints is shown only when it fails. */
function run(...argv) {
  const result = spawnSync(npm, argv, { cwd: root, encoding: "utf8" });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  console.error(`"npm ${argv.join(" ")}" failed; mend what it says above and try again.`);
  process.exit(result.status ?? 1);
}

const installed = join(root, "node_modules", ".package-lock.json");
const lock = join(root, "package-lock.json");
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
  console.error("installing packages from the lock file …");
  run("ci", "--no-audit", "--no-fund");
}
run("run", "build");
