import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, test } from "node:test";
import type { FailureCode } from "../../src/failure.js";
import { encodeMessage } from "../../src/protocol/codec.js";
import { encodeFrame, writeHeader } from "../../src/protocol/frame.js";
import { MAX_GREETING_BYTES } from "../../src/protocol/limits.js";
import { MESSAGES } from "../../src/protocol/messages.js";
import { inRepository } from "../repository.js";
import { Daemon, freshFile } from "../process/daemon.js";
import { memoryOf } from "../process/preload.js";
import { assertUnharmed, complaintAbout } from "./besieged.js";
import { helloBody, HostileSource, moduleAt, Peer, RAM_BYTES } from "./peer.js";

/** Connections whose first words are wrong, against one destination that goes on serving. */
let host: Daemon;
before(async () => {
  host = await Daemon.dest();
});
after(() => host[Symbol.asyncDispose]());

/** What a stranger does on a connection of its own. */
type Approach = (peer: Peer) => void;

async function approach(act: Approach): Promise<void> {
  using peer = await Peer.connect(host.target);
  act(peer);
  await peer.hungUp();
}

function header(fields: Partial<Parameters<typeof writeHeader>[1]>): Uint8Array {
  const bytes = new Uint8Array(16);
  writeHeader(new DataView(bytes.buffer), {
    type: MESSAGES.hello.id,
    flags: 0,
    sequence: 0,
    bodyBytes: 0,
    ...fields,
  });
  return bytes;
}

const hello = encodeMessage("hello", helloBody(), 0);
const emptyMap = Uint8Array.of(0x80);

const REFUSED: readonly (readonly [string, FailureCode, Approach])[] = [
  ["an HTTP request", "NOT_TRISTAGE", (peer) => peer.write(Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
  ["a TLS handshake", "NOT_TRISTAGE", (peer) => peer.write(Buffer.alloc(32, 0x16))],
  ["a hang-up without a word", "CONNECTION_LOST", (peer) => peer.socket.end()],
  ["half a header", "FRAME_TRUNCATED", (peer) => peer.socket.end(hello.subarray(0, 7))],
  ["half a hello", "FRAME_TRUNCATED", (peer) => peer.socket.end(hello.subarray(0, 40))],
  [
    "a greeting that is too large",
    "FRAME_TOO_LARGE",
    (peer) => peer.write(header({ bodyBytes: MAX_GREETING_BYTES + 1 })),
  ],
  ["a frame of type 0", "FRAME_UNKNOWN", (peer) => peer.write(header({ type: 0 }))],
  ["an unknown frame", "FRAME_UNKNOWN", (peer) => peer.sayFrame(0x7f, emptyMap)],
  ["a page frame", "FRAME_UNKNOWN", (peer) => peer.sayFrame(0x40, emptyMap)],
  ["a frame out of order", "FRAME_OUT_OF_ORDER", (peer) => peer.write(header({ sequence: 1 }))],
  [
    "reserved bits",
    "FRAME_MALFORMED",
    (peer) => {
      const bytes = header({});
      bytes[6] = 1;
      peer.write(bytes);
    },
  ],
  [
    "flags on a message",
    "MESSAGE_MALFORMED",
    (peer) => peer.write(encodeFrame(MESSAGES.hello.id, 0, hello.subarray(16), 1)),
  ],
  [
    "a hello that is not MessagePack",
    "MESSAGE_MALFORMED",
    (peer) => peer.sayFrame(MESSAGES.hello.id, Uint8Array.of(0xc1, 0xff)),
  ],
  ["an empty hello", "MESSAGE_MALFORMED", (peer) => peer.sayFrame(MESSAGES.hello.id, emptyMap)],
  [
    "a hello with a short session",
    "MESSAGE_MALFORMED",
    (peer) => peer.say("hello", helloBody({ session: new Uint8Array(31) })),
  ],
  [
    "too many channels",
    "MESSAGE_MALFORMED",
    (peer) => peer.say("hello", helloBody({ channels: 17 })),
  ],
  ["a message before the greeting", "MESSAGE_UNEXPECTED", (peer) => peer.say("prepare", {})],
  ["a destination's message", "MESSAGE_UNEXPECTED", (peer) => peer.say("prepared", {})],
  [
    "a hello and more at once",
    "MESSAGE_UNEXPECTED",
    (peer) => peer.write(Buffer.concat([hello, encodeMessage("prepare", {}, 1)])),
  ],
  ["version 0", "VERSION_UNSUPPORTED", (peer) => peer.say("hello", helloBody({ version: 0 }))],
  ["version 999", "VERSION_UNSUPPORTED", (peer) => peer.say("hello", helloBody({ version: 999 }))],
  [
    "pages of another size",
    "GEOMETRY_REFUSED",
    (peer) => peer.say("hello", helloBody({ pageBytes: 8192 })),
  ],
  ["no memory", "GEOMETRY_REFUSED", (peer) => peer.say("hello", helloBody({ ramBytes: 0 }))],
  [
    "memory that is not whole units",
    "GEOMETRY_REFUSED",
    (peer) => peer.say("hello", helloBody({ ramBytes: 65536 + 4096 })),
  ],
  [
    "more memory than a guest may have",
    "GEOMETRY_REFUSED",
    (peer) => peer.say("hello", helloBody({ ramBytes: 2 ** 40 })),
  ],
  ["no vCPU", "GEOMETRY_REFUSED", (peer) => peer.say("hello", helloBody({ vcpuCount: 0 }))],
  ["nine vCPUs", "GEOMETRY_REFUSED", (peer) => peer.say("hello", helloBody({ vcpuCount: 9 }))],
  [
    "a guest that nobody knows",
    "GUEST_UNKNOWN",
    (peer) => peer.say("hello", helloBody({ program: "builtin:nobody" })),
  ],
  [
    "a module that is not here",
    "GUEST_MODULE_MISSING",
    (peer) => peer.say("hello", helloBody({ program: "/nowhere/guest.js" })),
  ],
  [
    "a module that is no module",
    "GUEST_MODULE_INVALID",
    (peer) => peer.say("hello", helloBody(moduleAt(freshFile("empty.mjs", "")))),
  ],
  [
    "a module that is a device",
    "GUEST_MODULE_INVALID",
    (peer) => peer.say("hello", helloBody({ program: "/dev/zero" })),
  ],
  [
    "a module that is a folder",
    "GUEST_MODULE_INVALID",
    (peer) => peer.say("hello", helloBody({ program: dirname(freshFile("a.mjs", "")) })),
  ],
  [
    "a channel of no migration",
    "SESSION_UNKNOWN",
    (peer) => {
      const { version, migrationId, session } = helloBody();
      peer.say("attach", { version, migrationId, session, channel: "bulk-0" });
    },
  ],
];

for (const [what, code, act] of REFUSED) {
  test(`dest answers ${what} with one error, ${code}, and goes on serving`, async () => {
    await complaintAbout(host, code, () => approach(act));
  });
}

test("dest runs nothing of a module that is not the one the source has", async () => {
  const trace = freshFile("trace", "");
  const write = `process.getBuiltinModule("node:fs").writeFileSync(${JSON.stringify(trace)}, "ran");`;
  const program = freshFile("other.mjs", write);
  for (const programSha256 of [null, "0".repeat(64)]) {
    await complaintAbout(host, "GUEST_MODULE_DIFFERS", () =>
      approach((peer) => peer.say("hello", helloBody({ program, programSha256 }))),
    );
  }
  assert.equal(readFileSync(trace, "utf8"), "");
});

test("dest tells who it refuses why", async () => {
  using peer = await Peer.connect(host.target);
  peer.say("hello", helloBody({ vcpuCount: 9 }));
  const { code } = await peer.hear("failed", "greeting");
  assert.equal(code, "GEOMETRY_REFUSED");
  await peer.hungUp();
});

test("dest refuses a guest that this machine has no memory for", async () => {
  await using small = await Daemon.start(["dest", "--listen", "127.0.0.1:0"], {
    nodeOptions: memoryOf(2 ** 20),
  });
  const complaint = await complaintAbout(small, "MEMORY_SHORT", async () => {
    using peer = await Peer.connect(small.target);
    peer.say("hello", helloBody({ ramBytes: 2 ** 32 }));
    await peer.hungUp();
  });
  assert.match(complaint.text, /needs 4(\.0)? GiB and this host has 1(\.0)? MiB/);
  using source = await HostileSource.greet(small.target);
  source.control.say("cancel", { by: "the test" });
  await source.control.hungUp();
});

test("dest does not promise the same memory to two guests", async () => {
  await using small = await Daemon.start(["dest", "--listen", "127.0.0.1:0"], {
    nodeOptions: memoryOf(RAM_BYTES * 1.5),
  });
  using first = await HostileSource.greet(small.target);
  const complaint = await complaintAbout(small, "MEMORY_SHORT", async () => {
    using peer = await Peer.connect(small.target);
    peer.say("hello", helloBody());
    await peer.hungUp();
  });
  assert.match(complaint.text, /needs 64(\.0)? KiB and this host has 32(\.0)? KiB/);
  first.control.say("cancel", { by: "the test" });
  await first.control.hungUp();
  using second = await HostileSource.greet(small.target);
  second.control.say("cancel", { by: "the test" });
});

test("dest receives at most four guests at once, and more when one has gone", async () => {
  const coming = await Promise.all(
    Array.from({ length: 4 }, () => HostileSource.greet(host.target)),
  );
  const known = host.of("error").length;
  await approach((peer) => peer.say("hello", helloBody()));
  assert.deepEqual(
    host
      .of("error")
      .slice(known)
      .map(({ code }) => code),
    ["HOST_FULL"],
  );
  for (const source of coming) source[Symbol.dispose]();
  await host.process.until("the end of all four", () =>
    host.of("error").length === known + 5 ? true : undefined,
  );
  using again = await HostileSource.greet(host.target);
  again.control.say("cancel", { by: "the test" });
  await again.control.hungUp();
});

test("dest does not take a second guest of the same id, nor a second migration of one", async () => {
  using first = await HostileSource.greet(host.target);
  const { guestId, migrationId } = first.hello;
  await complaintAbout(host, "GUEST_OWNED_HERE", () =>
    approach((peer) => peer.say("hello", helloBody({ guestId }))),
  );
  await complaintAbout(host, "CHANNEL_TAKEN", () =>
    approach((peer) => peer.say("hello", helloBody({ migrationId }))),
  );
  first.control.say("cancel", { by: "the test" });
  await first.control.hungUp();
});

test("dest forgets whoever hangs up before it is welcome", async () => {
  // Reading a module takes the host a moment, in which nobody has charge of the connection yet.
  const module = moduleAt(inRepository("examples/game-of-life.js"));
  const known = host.of("error").length;
  const rounds = 8;
  for (let round = 0; round < rounds; round += 1) {
    using peer = await Peer.connect(host.target);
    peer.say("hello", helloBody(module));
    peer.socket.resetAndDestroy();
  }
  await host.process.until("the end of each", () =>
    host.of("error").length >= known + rounds ? true : undefined,
  );
  const codes = new Set(
    host
      .of("error")
      .slice(known)
      .map(({ code }) => code),
  );
  assert.deepEqual([...codes], ["CONNECTION_LOST"]);
  assert.deepEqual((await host.status()).migrations, []);
});

test("dest survives whoever asks who owns a guest and resets the connection", async () => {
  for (let round = 0; round < 32; round += 1) {
    using peer = await Peer.connect(host.target);
    const { version, migrationId, session } = helloBody();
    const question = { version, migrationId, session, token: null, generation: 2 };
    peer.say("ask", { ...question, guestId: randomUUID() });
    peer.socket.resetAndDestroy();
  }
  using peer = await Peer.connect(host.target);
  peer.say("hello", helloBody({ vcpuCount: 9 }));
  await peer.hear("failed", "greeting");
});

test("after all strangers dest receives a guest as ever", () => assertUnharmed(host));
