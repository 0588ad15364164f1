import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { sendByWindow } from "../../../src/platform/congestion-control.js";
import { descriptorOf } from "../../../src/transport/descriptor.js";
import { congestionControlOf, WITHOUT_LIBC } from "../../congestion-control.js";

test(
  "sendByWindow has TCP send by a window alone, and the connection goes on",
  { skip: WITHOUT_LIBC },
  async (context) => {
    const server = net.createServer((peer) => peer.pipe(peer)).listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    const socket = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
    await once(socket, "connect");
    const fd = descriptorOf(socket);
    assert.ok(fd !== undefined && sendByWindow(fd));
    assert.match(congestionControlOf(fd) ?? "", /^(cubic|reno)$/);
    socket.end("still here");
    const [echo] = (await once(socket, "data")) as [Buffer];
    assert.equal(echo.toString(), "still here");
  },
);

test("sendByWindow does nothing to what is no connection", () => {
  assert.equal(sendByWindow(-1), false);
});

test("a socket that is not connected shows no descriptor", () => {
  assert.equal(descriptorOf(new net.Socket()), undefined);
});
