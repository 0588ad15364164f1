import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { limitSendQueue } from "../../../src/platform/send-queue.js";
import { descriptorOf } from "../../../src/transport/descriptor.js";
import { writeNow } from "../../../src/transport/write-now.js";
import { WITHOUT_LIBC } from "../../congestion-control.js";

const LIMIT_BYTES = 16 * 1024;

test(
  "a send queue that is limited takes less than one that is not",
  { skip: WITHOUT_LIBC },
  async (t) => {
    const server = net.createServer({ pauseOnConnect: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const taken: number[] = [];
    for (const isLimited of [true, false]) {
      const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
      const [[peer]] = (await Promise.all([
        once(server, "connection"),
        once(socket, "connect"),
      ])) as [[net.Socket], unknown];
      t.after(() => {
        socket.destroy();
        peer.destroy();
      });
      const fd = descriptorOf(socket) ?? -1;
      if (isLimited) assert.ok(limitSendQueue(fd, LIMIT_BYTES));
      taken.push(takenBy(fd));
    }
    const [limited = 0, free = 0] = taken;
    assert.ok(limited > 0 && 2 * limited < free, `${String(limited)} of ${String(free)} bytes`);
  },
);

test("limitSendQueue does nothing to what is no socket", () => {
  assert.equal(limitSendQueue(-1, LIMIT_BYTES), false);
});

/** Bytes that the system takes before it has to wait for the peer, which reads nothing. */
function takenBy(fd: number): number {
  const bytes = new Uint8Array(4096);
  let taken = 0;
  for (let more; (more = writeNow(fd, bytes)) > 0;) taken += more;
  return taken;
}
