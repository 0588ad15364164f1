import assert from "node:assert/strict";
import { test } from "node:test";
import { collectGarbage } from "../../../src/platform/collect-garbage.js";
import { returnFreedMemory } from "../../../src/platform/malloc.js";

const BLOCK_BYTES = 2 ** 18;
const BLOCKS = 256;

/** Other threads free what one collection finds; the next waits for them. */
function freeGarbage(): void {
  collectGarbage();
  collectGarbage();
}

function allocate(count: number, bytes: number): Buffer[] {
  return Array.from({ length: count }, () => Buffer.allocUnsafeSlow(bytes).fill(1));
}

function isGlibc(): boolean {
  const { header } = process.report.getReport() as unknown as { readonly header: object };
  return "glibcVersionRuntime" in header;
}

/** What stays with this process of blocks that it had and freed, where it keeps every sixteenth. */
function keptBytes(): number {
  // Once such a block is freed, glibc takes all that are smaller from what the process keeps.
  allocate(4, 16 * BLOCK_BYTES);
  freeGarbage();
  const before = process.memoryUsage.rss();
  const blocks = allocate(BLOCKS, BLOCK_BYTES);
  const kept = blocks.filter((_, index) => index % 16 === 15);
  blocks.length = 0;
  freeGarbage();
  return process.memoryUsage.rss() - before - kept.length * BLOCK_BYTES;
}

test("large blocks that are freed go back to the system", (t) => {
  if (!isGlibc()) {
    t.skip("the C library is not glibc");
    return;
  }
  assert.ok(returnFreedMemory());
  const bytes = keptBytes();
  assert.ok(bytes < (BLOCKS * BLOCK_BYTES) / 2, `${String(bytes)} bytes are kept`);
});
