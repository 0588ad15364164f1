import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { rehearsal as arrival } from "../../src/dest/rehearsal.js";
import { rehearse as vcpu } from "../../src/guest/rehearsal.js";
import { rehearsal as departure } from "../../src/source/rehearsal.js";

// Each throws where what it goes through finds anything wrong, or where a page does not leave or arrive.

test("the source's rehearsal goes through to its end", async () => {
  let steps = 0;
  for await (const step of departure()) {
    assert.equal(step, undefined);
    steps += 1;
  }
  assert.ok(steps > 0);
});

test("the destination's rehearsal goes through to its end", () => {
  assert.ok([...arrival()].length > 0);
});

test("the vCPU's rehearsal goes through to its end, and leaves no descriptor open", () => {
  const before = readdirSync("/proc/self/fd").length;
  vcpu();
  assert.equal(readdirSync("/proc/self/fd").length, before);
});
