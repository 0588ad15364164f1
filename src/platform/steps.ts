import { setImmediate } from "node:timers/promises";

/** Work in steps of a few milliseconds, for which nobody waits. */
export type Steps = Generator<void> | AsyncGenerator<void>;

/** Between two steps the thread hears its messages. */
export async function goThrough(steps: Steps): Promise<void> {
  for await (const step of steps) await setImmediate(step);
}
