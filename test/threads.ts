import { once } from "node:events";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";

/** Starts a thread that runs `entry` and ends with the test at the latest. */
export function startThread(t: TestContext, entry: URL, workerData: unknown): Worker {
  const thread = new Worker(entry, { workerData });
  t.after(() => thread.terminate());
  return thread;
}

/** The next message of `thread`. Rejects with its error if it dies instead. */
export async function reportOf<Report>(thread: Worker): Promise<Report> {
  const [report] = (await once(thread, "message")) as [Report];
  return report;
}
