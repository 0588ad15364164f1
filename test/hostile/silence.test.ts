import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test, type TestContext } from "node:test";
import type { Failure } from "../../src/failure.js";
import { GREETING_TIMEOUT_MS } from "../../src/protocol/limits.js";
import { ControlConnection } from "../../src/transport/control-connection.js";
import { openGreeter } from "../../src/transport/greeter.js";
import { DEADLINE_MS } from "../process/daemon.js";

const LOCAL = { host: "127.0.0.1", port: 0 };

/** Peers that say nothing: nobody waits for them in real time. */

/** Makes the one timeout that strangers are given as short as can be. */
function hasten(context: TestContext): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called on its socket below
  const { setTimeout: real } = net.Socket.prototype;
  context.mock.method(
    net.Socket.prototype,
    "setTimeout",
    function (this: net.Socket, ms: number, callback?: () => void) {
      return real.call(this, ms === GREETING_TIMEOUT_MS ? 1 : ms, callback);
    },
  );
}

test(
  "a stranger that never says who it is is told so",
  { timeout: DEADLINE_MS },
  async (context) => {
    hasten(context);
    const refused = new Promise<Failure>((resolve) => {
      void openGreeter(
        LOCAL,
        () => undefined,
        (failure) => {
          resolve(failure);
        },
      ).then((greeter) => {
        context.after(() => {
          greeter.close();
        });
        const socket = net.connect({ ...greeter.address });
        context.after(() => socket.destroy());
      });
    });
    const failure = await refused;
    assert.equal(failure.code, "PEER_SILENT");
  },
);

test(
  "a peer is given up after ten silent seconds, not before",
  { timeout: DEADLINE_MS },
  async (context) => {
    const server = net.createServer().listen(0, LOCAL.host);
    context.after(() => server.close());
    await once(server, "listening");
    const socket = net.connect((server.address() as net.AddressInfo).port, LOCAL.host);
    const [accepted] = (await once(server, "connection")) as [net.Socket];
    context.after(() => accepted.destroy());
    let nowMs = 0;
    const control = new ControlConnection(socket, "dest", { nowMs: () => nowMs });
    context.after(() => {
      void control.close();
    });
    const lost: Failure[] = [];
    const pings = once(accepted, "data");
    const ended = new Promise<void>((resolve) => {
      control.attend({
        phase: () => "copying",
        message: () => undefined,
        lost: (failure) => {
          lost.push(failure);
          resolve();
        },
      });
    });
    nowMs = 10_000;
    // It still asks whether anybody is there.
    await Promise.race([pings, ended]);
    assert.deepEqual(lost, []);
    nowMs = 10_001;
    await ended;
    assert.deepEqual(lost, [{ code: "PEER_SILENT", connection: "control", silentMs: 10_001 }]);
  },
);
