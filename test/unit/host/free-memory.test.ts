import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { freeMemorySoon } from "../../../src/host/free-memory.js";
import { GuestRam } from "../../../src/memory/ram.js";

const RAM_BYTES = 256 * 2 ** 20;
/** Between two looks. To look all the time makes garbage, and V8 collects it by itself. */
const LOOK_MS = 10;
/** Ten times what it takes, and before V8 collects by itself, which it does here after some 8 s of rest. */
const DEADLINE_MS = 5_000;

/** A guest's memory that has been written, and that nobody holds any more. */
function leaveMemoryBehind(): void {
  const ram = GuestRam.allocate(RAM_BYTES, 1);
  new Uint8Array(ram.buffer).fill(1);
  freeMemorySoon(ram);
}

test("a guest's memory is given back although its host does nothing more", async () => {
  leaveMemoryBehind();
  const before = process.memoryUsage.rss();
  assert.ok(before > RAM_BYTES);
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  while (process.memoryUsage.rss() > before - RAM_BYTES / 2) {
    assert.ok(!deadline.aborted, "it is kept");
    await delay(LOOK_MS);
  }
});
