import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import net from "node:net";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { rehearsal as arrival } from "../../src/dest/rehearsal.js";
import { rehearse as vcpu } from "../../src/guest/rehearsal.js";
import { rehearsal as departure } from "../../src/source/rehearsal.js";

// Each throws where what it goes through finds anything wrong, or where a page does not leave or arrive.

test("the source's rehearsal goes through to its end, or to where it is ended, and leaves no descriptor open", async () => {
  const before = readdirSync("/proc/self/fd").length;
  for (const most of [Infinity, 3]) {
    let steps = 0;
    for await (const step of departure()) {
      assert.equal(step, undefined);
      steps += 1;
      if (steps === most) break;
    }
    assert.ok(most === 3 ? steps === 3 : steps > 3);
    // Whatever the system has to close it closes at the end of a turn.
    await setImmediate();
    assert.equal(readdirSync("/proc/self/fd").length, before);
  }
});

test("where nobody can listen the source rehearses nothing, and nothing goes wrong", async (t) => {
  t.mock.method(net.Server.prototype, "listen", function (this: net.Server) {
    process.nextTick(() => this.emit("error", new Error("no address to listen on")));
    return this;
  });
  for await (const step of departure()) assert.fail(`there is no such step as ${String(step)}`);
});

test("the destination's rehearsal goes through to its end", () => {
  assert.ok([...arrival()].length > 0);
});

test("the vCPU's rehearsal goes through to its end, and leaves no descriptor open", () => {
  const before = readdirSync("/proc/self/fd").length;
  vcpu();
  assert.equal(readdirSync("/proc/self/fd").length, before);
});
