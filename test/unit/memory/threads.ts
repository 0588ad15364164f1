import { once } from "node:events";
import type { TestContext } from "node:test";
import { Worker } from "node:worker_threads";

/** Starts a thread of this folder's `file`, which ends with the test at the latest. */
export function startThread(t: TestContext, file: string, workerData: unknown): Worker {
  const thread = new Worker(new URL(file, import.meta.url), { workerData });
  t.after(() => thread.terminate());
  return thread;
}

/** The next message of `thread`. Rejects with its error if it dies instead. */
export async function reportOf<Report>(thread: Worker): Promise<Report> {
  const [report] = (await once(thread, "message")) as [Report];
  return report;
}
