import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomBytes, randomUUID } from "node:crypto";
import type { MessageBody } from "../../src/protocol/messages.js";
import { Daemon } from "../process/daemon.js";
import { complaintAbout } from "./besieged.js";
import { helloBody, HostileSource, Peer } from "./peer.js";

/** People without the secret, against one destination that demands one. */
let host: Daemon;
before(async () => {
  host = await Daemon.start(["dest", "--listen", "127.0.0.1:0"], { token: "secret" });
});
after(() => host[Symbol.asyncDispose]());

/** Asks who owns the guest of a migration. */
async function ask(changes: Partial<MessageBody<"ask">>): Promise<MessageBody<"owner">["answer"]> {
  const { version, migrationId, session, guestId } = helloBody();
  using peer = await Peer.connect(host.target);
  const question = { version, migrationId, session, guestId, token: "secret", generation: 2 };
  peer.say("ask", { ...question, ...changes });
  const { answer } = await peer.hear("owner", "greeting");
  return answer;
}

for (const [what, token] of [
  ["no token", null],
  ["a wrong token", "secret "],
  ["an empty token", ""],
] as const) {
  test(`dest neither takes a guest nor says who owns one for ${what}`, async () => {
    await complaintAbout(host, "TOKEN_WRONG", async () => {
      using peer = await Peer.connect(host.target);
      peer.say("hello", helloBody({ token }));
      await peer.hungUp();
    });
    await complaintAbout(host, "TOKEN_WRONG", async () => {
      await assert.rejects(ask({ token }));
    });
  });
}

test("dest lets nobody but its source end a migration by asking", async () => {
  using source = await HostileSource.greet(host.target, { token: "secret" });
  const { guestId, migrationId, session } = source.hello;
  const stranger = new Uint8Array(randomBytes(32));
  for (const claim of [
    { guestId, migrationId, session: stranger },
    { guestId, migrationId: randomUUID(), session },
    { guestId: randomUUID(), migrationId, session: stranger },
  ]) {
    await complaintAbout(host, "SESSION_UNKNOWN", async () => {
      await assert.rejects(ask(claim));
    });
  }
  await source.attach("urgent");
  assert.equal(await ask({ guestId, migrationId, session }), "refused");
  await source.control.hungUp();
});

test("dest promises nothing for a guest that it never was ready for", async () => {
  const guestId = randomUUID();
  assert.equal(await ask({ guestId }), "unknown");
  // Nor does it write anything down: the guest may come.
  using source = await HostileSource.greet(host.target, { token: "secret", guestId });
  await source.copy();
});

test("dest refuses a generation once and for ever", async () => {
  const guestId = randomUUID();
  {
    using source = await HostileSource.greet(host.target, { token: "secret", guestId });
    await source.copy();
    await source.attach("urgent");
    const { migrationId, session } = source.hello;
    assert.equal(await ask({ guestId, migrationId, session }), "refused");
    await source.control.hungUp();
  }
  assert.equal(await ask({ guestId }), "refused");
  await complaintAbout(host, "GUEST_OWNED_HERE", async () => {
    using peer = await Peer.connect(host.target);
    peer.say("hello", helloBody({ token: "secret", guestId, generation: 2 }));
    await peer.hungUp();
  });
  // The next generation is another matter.
  using source = await HostileSource.greet(host.target, {
    ...{ token: "secret", guestId, generation: 3 },
  });
  source.control.say("cancel", { by: "the test" });
  await source.control.hungUp();
});

test("dest that demands a token still takes a guest from who has it", async () => {
  const words = ["source", "--guest", "idle", "--memory", "1MiB"];
  await using source = await Daemon.start(words, { token: "secret" });
  await source.event("guest", ({ state }) => state === "running");
  assert.equal((await source.move(host)).outcome, "completed");
});
