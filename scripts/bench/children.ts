import { type ChildProcess, spawn } from "node:child_process";

/** Processes that run; whatever ends this program ends them. */
const children = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}

/** Runs this Node.js on `argv`, for no longer than this program runs. What it says on stderr is shown. */
export function spawnNode(argv: readonly string[]) {
  const child = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}
