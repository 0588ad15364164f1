import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test, type TestContext } from "node:test";
import type { Failure } from "../../src/failure.js";
import { encodeMessage } from "../../src/protocol/codec.js";
import { GREETING_TIMEOUT_MS } from "../../src/protocol/limits.js";
import { ControlConnection } from "../../src/transport/control-connection.js";
import { openGreeter } from "../../src/transport/greeter.js";
import { DEADLINE_MS } from "../process/daemon.js";
import { helloBody } from "./peer.js";

const LOCAL = { host: "127.0.0.1", port: 0 };

/** Peers that say nothing: nobody waits for them in real time. */

/** Timers of whole seconds wait until they are told that their time has come. */
function holdTimers(context: TestContext) {
  const held = new Map<number, (() => void)[]>();
  const real = globalThis.setTimeout;
  context.mock.method(globalThis, "setTimeout", (due: () => void, ms: number) => {
    const timer = real(due, ms);
    if (ms % 1000 !== 0) return timer;
    clearTimeout(timer);
    held.set(ms, [...(held.get(ms) ?? []), due]);
    return timer;
  });
  return (ms: number) => {
    const due = held.get(ms) ?? [];
    held.delete(ms);
    assert.ok(due.length > 0, `nobody waits for ${String(ms)} ms`);
    for (const come of due) come();
  };
}

/** A host's port, what it refuses, and who connects to it. */
async function listening(context: TestContext) {
  const refused = new Watched<Failure>();
  const servers = context.mock.method(net, "createServer");
  const greeter = await openGreeter(
    LOCAL,
    () => undefined,
    (failure) => {
      refused.add(failure);
    },
  );
  const server = servers.mock.calls[0]!.result as net.Server;
  context.after(() => {
    greeter.close();
  });
  const connect = async () => {
    const accepted = once(server, "connection");
    const socket = net.connect({ ...greeter.address });
    socket.on("error", () => undefined);
    context.after(() => socket.destroy());
    const [theirs] = (await accepted) as [net.Socket];
    context.after(() => theirs.destroy());
    const say = async (byte: number) => {
      const came = once(theirs, "data");
      socket.write(Uint8Array.of(byte));
      await came;
    };
    return { say, theirs };
  };
  return { refused, server, connect };
}

/** What comes one after another. */
class Watched<Item> {
  readonly all: Item[] = [];
  private come: () => void = () => undefined;

  add(item: Item): void {
    this.all.push(item);
    this.come();
  }

  async next(): Promise<Item> {
    if (this.all.length === 0) await new Promise<void>((resolve) => (this.come = resolve));
    return this.all.shift()!;
  }
}

const IN_TIME = { timeout: DEADLINE_MS };

test("a stranger that never says who it is is told so", IN_TIME, async (context) => {
  const pass = holdTimers(context);
  const { refused, connect } = await listening(context);
  await connect();
  pass(GREETING_TIMEOUT_MS);
  const silent = { code: "PEER_SILENT", connection: "new", silentMs: GREETING_TIMEOUT_MS };
  assert.deepEqual(await refused.next(), silent);
});

test(
  "a stranger has one time for all of its greeting, and one to hang up",
  IN_TIME,
  async (context) => {
    const pass = holdTimers(context);
    const { refused, connect } = await listening(context);
    const { say, theirs } = await connect();
    const hello = [...encodeMessage("hello", helloBody(), 0)];
    for (const byte of hello.slice(0, 20)) await say(byte);
    assert.deepEqual(refused.all, []);
    pass(GREETING_TIMEOUT_MS);
    assert.equal((await refused.next()).code, "FRAME_TRUNCATED");
    // It goes on talking, and does not close its side.
    await say(0);
    const closed = once(theirs, "close");
    pass(1000);
    await closed;
  },
);

test(
  "connections that the system does not let a host take are told, and do not end it",
  IN_TIME,
  async (context) => {
    const { refused, server, connect } = await listening(context);
    for (let times = 0; times < 2; times += 1) {
      server.emit("error", new Error("accept EMFILE"));
      assert.equal((await refused.next()).code, "CANNOT_ACCEPT");
    }
    await connect();
  },
);

test(
  "a peer that goes on talking does not keep a closed connection open",
  IN_TIME,
  async (context) => {
    const pass = holdTimers(context);
    const server = net.createServer().listen(0, LOCAL.host);
    context.after(() => server.close());
    await once(server, "listening");
    const talker = net.connect((server.address() as net.AddressInfo).port, LOCAL.host);
    talker.on("error", () => undefined);
    const [accepted] = (await once(server, "connection")) as [net.Socket];
    const closed = new ControlConnection(accepted, "source", { nowMs: () => 0 }).close();
    const came = once(accepted, "data");
    talker.write(Uint8Array.of(0));
    await came;
    pass(10_000);
    await closed;
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
