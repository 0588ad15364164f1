import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { returnFreedMemory } from "../../../src/platform/malloc.js";

const BLOCK_BYTES = 2 ** 18;
const BLOCKS = 256;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Other threads free what one collection finds; the next waits for them. */
function collectGarbage(): void {
  collect();
  collect();
}

function allocate(count: number, bytes: number): Buffer[] {
  return Array.from({ length: count }, () => Buffer.allocUnsafeSlow(bytes).fill(1));
}

/** What stays with this process of blocks that it had and freed, where it keeps every sixteenth. */
function keptBytes(): number {
  // Once such a block is freed, glibc takes all that are smaller from what the process keeps.
  allocate(4, 16 * BLOCK_BYTES);
  collectGarbage();
  const before = process.memoryUsage.rss();
  const blocks = allocate(BLOCKS, BLOCK_BYTES);
  const kept = blocks.filter((_, index) => index % 16 === 15);
  blocks.length = 0;
  collectGarbage();
  return process.memoryUsage.rss() - before - kept.length * BLOCK_BYTES;
}

test("large blocks that are freed go back to the system", (t) => {
  if (!returnFreedMemory()) {
    t.skip("the C library is not glibc");
    return;
  }
  const bytes = keptBytes();
  assert.ok(bytes < (BLOCKS * BLOCK_BYTES) / 2, `${String(bytes)} bytes are kept`);
});
