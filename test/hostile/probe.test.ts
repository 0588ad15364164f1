import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { MAX_PROBE_BYTES, MAX_PROBES, PROBE_TIMEOUT_MS } from "../../src/protocol/limits.js";
import type { MessageBody } from "../../src/protocol/messages.js";
import { MESSAGES } from "../../src/protocol/messages.js";
import { PROTOCOL_VERSION } from "../../src/protocol/version.js";
import { Daemon } from "../process/daemon.js";
import { assertUnharmed, complaintAbout } from "./besieged.js";
import { Peer } from "./peer.js";

/** Probes of the link that are not what they seem, against a destination that goes on serving. */
let host: Daemon;
before(async () => {
  host = await Daemon.dest();
});
after(() => host[Symbol.asyncDispose]());

function probeBody(changes: Partial<MessageBody<"probe">> = {}): MessageBody<"probe"> {
  return { version: PROTOCOL_VERSION, token: null, bytes: 1024, ...changes };
}

/** A probe to which the host has said "go on". */
async function admitted(changes: Partial<MessageBody<"probe">> = {}): Promise<Peer> {
  const peer = await Peer.connect(host.target);
  peer.say("probe", probeBody(changes));
  await peer.hear("probing", "greeting");
  return peer;
}

async function refused(changes: Partial<MessageBody<"probe">>, to = host): Promise<string> {
  using peer = await Peer.connect(to.target);
  peer.say("probe", probeBody(changes));
  const { code } = await peer.hear("failed", "greeting");
  await peer.hungUp();
  return code;
}

test("dest counts the bytes of a probe, says how long they took, and hangs up", async () => {
  using peer = await admitted({ bytes: 100_000 });
  peer.socket.write(Buffer.alloc(100_000));
  const { receivedBytes, spanMs } = await peer.hear("probed", "greeting");
  assert.equal(receivedBytes, 100_000);
  assert.ok(spanMs >= 0 && spanMs < PROBE_TIMEOUT_MS);
  await peer.hungUp();
});

test("dest answers a probe of no bytes at once", async () => {
  using peer = await admitted({ bytes: 0 });
  assert.deepEqual(await peer.hear("probed", "greeting"), { receivedBytes: 0, spanMs: 0 });
});

test("dest refuses a probe larger than the limit, and one of less than nothing", async () => {
  for (const bytes of [MAX_PROBE_BYTES + 1, -1, 0.5, 2 ** 60]) {
    await complaintAbout(host, "MESSAGE_MALFORMED", async () => {
      assert.equal(await refused({ bytes }), "MESSAGE_MALFORMED");
    });
  }
});

test("dest refuses a probe with a wrong token, and with none", async () => {
  await using guarded = await Daemon.start(["dest", "--listen", "127.0.0.1:0"], {
    token: "correct",
  });
  for (const token of ["wrong", "", null]) {
    await complaintAbout(guarded, "TOKEN_WRONG", async () => {
      assert.equal(await refused({ token }, guarded), "TOKEN_WRONG");
    });
  }
});

test("dest refuses a probe of another version", async () => {
  await complaintAbout(host, "VERSION_UNSUPPORTED", () => refused({ version: 999 }));
});

test("dest answers few probes at once, and more when one has gone", async () => {
  const probes = await Promise.all(Array.from({ length: MAX_PROBES }, () => admitted()));
  await complaintAbout(host, "PROBES_FULL", async () => {
    assert.equal(await refused({}), "PROBES_FULL");
  });
  probes[0]!.socket.write(Buffer.alloc(1024));
  await probes[0]!.hear("probed", "greeting");
  const another = await admitted();
  for (const peer of [...probes, another]) peer[Symbol.dispose]();
});

test("dest counts no more than a probe named, however much comes", async () => {
  using peer = await admitted({ bytes: 1000 });
  peer.socket.write(Buffer.alloc(5 * 2 ** 20));
  const { receivedBytes } = await peer.hear("probed", "greeting");
  assert.equal(receivedBytes, 1000);
  await peer.hungUp();
});

test("dest takes what a probe sends for bytes, even where they are a message", async () => {
  using peer = await admitted({ bytes: 16 });
  peer.sayFrame(MESSAGES.hello.id, new Uint8Array(0));
  assert.equal((await peer.hear("probed", "greeting")).receivedBytes, 16);
  assert.deepEqual((await host.status()).migrations, []);
});

test("dest waits for the rest of a probe until its time is up, and says what came", async () => {
  using peer = await admitted({ bytes: 1000 });
  peer.socket.write(Buffer.alloc(10));
  assert.equal((await peer.hear("probed", "greeting")).receivedBytes, 10);
  await peer.hungUp();
});

test("dest forgets a probe that hangs up", async () => {
  for (let round = 0; round < 2 * MAX_PROBES; round += 1) {
    const peer = await admitted();
    peer.socket.resetAndDestroy();
    await peer.hungUp();
    await host.status();
  }
});

test("after all probes dest receives a guest as ever", () => assertUnharmed(host));
