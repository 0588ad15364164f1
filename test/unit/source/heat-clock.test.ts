import assert from "node:assert/strict";
import { test } from "node:test";
import { GuestRam } from "../../../src/memory/ram.js";
import { GUEST_WORDS, QUIESCENT } from "../../../src/memory/words.js";
import { HeatClock } from "../../../src/source/heat-clock.js";

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
