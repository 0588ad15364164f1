import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { MigrationError } from "../../../src/failure.js";
import type { Frame } from "../../../src/protocol/frame.js";
import { decodeWords, encodeWords, FRAME_TYPES } from "../../../src/protocol/pages.js";
import { Loopback } from "../../../src/transport/loopback.js";

test(
  "a loopback connection hears what its other end says, and is rid of all that is written to it",
  { timeout: 20_000 },
  async () => {
    const before = readdirSync("/proc/self/fd").length;
    const loopback = await Loopback.open();
    const connection = await loopback.attach();
    const other = await loopback.attach();
    const { socket, frames } = connection.attached;
    const heard = new Promise<readonly number[]>((resolve, fail) => {
      const take = (frame: Frame) => {
        resolve(decodeWords("credit", frame, 1));
      };
      frames.listen({ take, fail });
    });
    socket.resume();
    connection.say(encodeWords(FRAME_TYPES.CREDIT, 1, [4711]));
    assert.deepEqual(await heard, [4711]);

    let hasLeft = false;
    socket.write(new Uint8Array(8 * 2 ** 20), () => (hasLeft = true));
    await setImmediate();
    assert.ok(!hasLeft, "8 MiB have left, and nobody has read them");
    while (!hasLeft) {
      connection.swallow();
      await setImmediate();
    }

    const closed = [socket, other.attached.socket].map((it) => once(it.destroy(), "close"));
    loopback.close();
    await Promise.all(closed);
    // The system closes what it has to at the end of a turn.
    await setImmediate();
    assert.equal(readdirSync("/proc/self/fd").length, before);
  },
);

test("a loopback that is closed attaches nobody", async () => {
  const loopback = await Loopback.open();
  loopback.close();
  await assert.rejects(
    loopback.attach(),
    (error) => error instanceof MigrationError && error.failure.code === "CANNOT_CONNECT",
  );
});
