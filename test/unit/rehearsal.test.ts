import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { rehearsal as arrival } from "../../src/dest/rehearsal.js";
import { rehearse as vcpu } from "../../src/guest/rehearsal.js";
import { rehearsal as departure } from "../../src/source/rehearsal.js";
import { rehearsal as meeting } from "../../src/transport/rehearsal.js";

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

test("the rehearsal of a meeting goes through to its end, and leaves no connection open", async () => {
  const before = readdirSync("/proc/self/fd").length;
  let steps = 0;
  for await (const step of meeting()) {
    assert.equal(step, undefined);
    steps += 1;
  }
  assert.equal(steps, 8);
  while (readdirSync("/proc/self/fd").length > before) await setImmediate();
});

test("the rehearsal of a meeting ends where the system takes no connection", async (t) => {
  const listen = t.mock.method(net.Server.prototype, "listen");
  const steps = meeting();
  await steps.next();
  const server = listen.mock.calls[0]?.this as net.Server | undefined;
  server?.removeAllListeners("connection").on("connection", (socket: net.Socket) => {
    socket.destroy();
    server.emit("error", new Error("EMFILE"));
  });
  assert.deepEqual(await steps.next(), { value: undefined, done: true });
});
