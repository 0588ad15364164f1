import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { monotonicClock } from "../../../../src/clock.js";
import { MigrationError } from "../../../../src/failure.js";
import { decodeMessage, encodeMessage } from "../../../../src/protocol/codec.js";
import { FrameDecoder } from "../../../../src/protocol/frame.js";
import { MAX_GREETING_BYTES } from "../../../../src/protocol/limits.js";
import { probeLink } from "../../../../src/source/estimate/link-probe.js";

/** A destination that answers probes of no bytes; of one that sends it reads the beginning and no more. */
async function listenDeaf(t: TestContext) {
  let deafen: (socket: net.Socket) => void;
  const deaf = new Promise<net.Socket>((resolve) => (deafen = resolve));
  const server = net.createServer((socket) => {
    const decoder = new FrameDecoder(MAX_GREETING_BYTES);
    socket.once("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        const { name, body } = decodeMessage(frame, "source", "greeting");
        assert.equal(name, "probe");
        socket.write(encodeMessage("probing", {}, 0));
        if (body.bytes === 0) {
          socket.end(encodeMessage("probed", { receivedBytes: 0, spanMs: 0 }, 1));
        } else {
          socket.once("data", () => {
            socket.pause();
            deafen(socket);
          });
        }
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { to: { host: "127.0.0.1", port }, deaf };
}

test("a probe that has to make way throws away what it has not sent, and says why", async (t) => {
  const { to, deaf } = await listenDeaf(t);
  const controller = new AbortController();
  const { signal } = controller;
  const probe = probeLink({ to, token: null, maxBandwidth: undefined, signal }, monotonicClock);
  const peer = await deaf;
  let receivedBytes = 0;
  peer.on("error", () => undefined);
  const closed = new Promise((resolve) => peer.once("close", resolve));
  const reason = new MigrationError({ code: "GUEST_BUSY", guestId: "g", state: "handingOver" });
  controller.abort(reason);
  await assert.rejects(probe, reason);
  peer.on("data", (chunk: Buffer) => (receivedBytes += chunk.byteLength));
  peer.resume();
  await closed;
  assert.ok(receivedBytes < 2 ** 18, `${String(receivedBytes)} bytes came, more than were on hand`);
});

test("a probe that has to make way before it begins connects to nobody", async () => {
  const reason = new Error("busy");
  const signal = AbortSignal.abort(reason);
  const to = { host: "127.0.0.1", port: 1 };
  const probe = probeLink({ to, token: null, maxBandwidth: undefined, signal }, monotonicClock);
  await assert.rejects(probe, reason);
});
