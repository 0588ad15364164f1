import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { GUEST_WORDS, QUIESCENT } from "../../../src/memory/words.js";
import { BLOCKS_PER_PAGE } from "../../../src/protocol/deltas.js";
import { HeatClock } from "../../../src/source/heat-clock.js";
import { rewrittenShare } from "../../../src/source/rewrite-watch.js";

const clock = { nowMs: () => 0 };
const DAY_TICKS = (24 * 3600 * 1000) / 20;

test("a heat clock opens an epoch at a steady pace until it is stopped", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const heat = new HeatClock(GuestRam.allocate(64 * 1024, 1), clock);
  context.mock.timers.tick(200);
  assert.equal(heat.entries().length, 11);
  heat.stop();
  context.mock.timers.tick(200);
  assert.equal(heat.entries().length, 11);
});

test("a guest that stays for years keeps epochs enough to move", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const ram = GuestRam.allocate(64 * 1024, 1);
  // Near the end of what the clock may take, as after most of a year.
  ram.words[GUEST_WORDS.EPOCH] = 2 ** 30 - 100;
  const heat = new HeatClock(ram, clock);
  context.mock.timers.tick(20 * 1000);
  const used = ram.words[GUEST_WORDS.EPOCH]!;
  assert.ok(used <= 2 ** 30, String(used));
  assert.ok(QUIESCENT - used > 100 * DAY_TICKS);
  heat.stop();
});

test("as time goes by, what a guest changes of pages becomes known, of those that it wrote a short while ago", (context) => {
  context.mock.timers.enable({ apis: ["setInterval"] });
  const ram = GuestRam.allocate(64 * PAGE_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer);
  let nowMs = 0;
  const heat = new HeatClock(ram, { nowMs: () => nowMs });
  assert.equal(rewrittenShare(ram), 1);
  const rewrite = (from: number, to: number, everyBytes: number) => {
    ram.stamps.fill(ram.words[GUEST_WORDS.EPOCH]!, from, to);
    for (let at = from * PAGE_BYTES; at < to * PAGE_BYTES; at += everyBytes) bytes[at]! += 1;
  };
  rewrite(0, 32, 1);
  const run = (ticks: number) => {
    for (let tick = 0; tick < ticks; tick += 1) {
      rewrite(32, 64, PAGE_BYTES / 2);
      nowMs += 20;
      context.mock.timers.tick(20);
    }
  };
  // Longer than pages count as rewritten, and until all of those are forgotten.
  run(200);
  rewrite(0, 1, 1);
  run(12);
  assert.equal(rewrittenShare(ram), 2 / BLOCKS_PER_PAGE);
  heat.stop();
});
