import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker } from "node:worker_threads";
import { spawnNode } from "./children.js";
import { type Memory, memoryOf } from "./process-memory.js";

/** The least that a process of Node.js with so many threads besides its own holds: none of them has loaded anything. */
export async function bareThreads(count: number): Promise<Memory> {
  const self = fileURLToPath(import.meta.url);
  const bare = spawnNode([self, String(count)]);
  try {
    await once(bare.stdout, "data");
    return memoryOf(bare.pid ?? 0);
  } finally {
    bare.kill("SIGKILL");
  }
}

const [, program, count] = process.argv;
if (isMainThread && program === fileURLToPath(import.meta.url)) {
  // Keeps itself alive, and does nothing else.
  const idle = "setInterval(() => undefined, 1e6)";
  const threads = Array.from({ length: Number(count) }, () => new Worker(idle, { eval: true }));
  await Promise.all(threads.map((thread) => once(thread, "online")));
  console.log("ready");
}
