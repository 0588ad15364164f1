import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { FailureCode } from "../../src/failure.js";
import { writeHeader } from "../../src/protocol/frame.js";
import {
  MAX_CONTROL_BYTES,
  MAX_TORN_PAGES,
  RUNNING_TIMEOUT_MS,
} from "../../src/protocol/limits.js";
import { MESSAGES } from "../../src/protocol/messages.js";
import { FRAME_TYPES, PURPOSE } from "../../src/protocol/pages.js";
import type { Report } from "../../src/protocol/report.js";
import { Daemon } from "../process/daemon.js";
import { BODIES } from "../golden/samples.js";
import { guestModule } from "../process/modules.js";
import { preload } from "../process/preload.js";
import { assertUnmoved } from "../process/same-guest.js";
import { assertClear } from "./besieged.js";
import { HostileDest, type Peer } from "./peer.js";

/** Destinations that turn hostile, against one source whose guest never stops. */
let source: Daemon;
before(async () => {
  source = await Daemon.source("random-writer rate=20000/s", "--memory", "1MiB");
});
after(() => source[Symbol.asyncDispose]());

/** What a destination does with the connections that a source makes. */
type Attack = (dest: HostileDest) => Promise<unknown>;

/** The report of a migration to a destination that does `attack`. */
async function migrateInto(attack: Attack): Promise<Report> {
  await using dest = await HostileDest.open();
  const migrationId = await source.migrate(dest.address);
  await attack(dest);
  const report = await source.report(migrationId);
  const reports = source.of("report").filter((it) => it.migrationId === migrationId);
  assert.equal(reports.length, 1);
  return report;
}

/** On the control connection, before it says that anybody is welcome. */
function onGreeting(act: (control: Peer) => unknown): Attack {
  return async (dest) => {
    const control = await dest.accept();
    await control.hear("hello", "greeting");
    act(control);
  };
}

/** On the control connection in stage one. */
function onControl(act: (control: Peer) => unknown): Attack {
  return async (dest) => {
    act(await dest.welcome());
  };
}

/** On the first bulk channel in stage one. */
function onBulk(act: (bulk: Peer) => unknown): Attack {
  return async (dest) => {
    await dest.welcome();
    const channels = await dest.attach(3);
    const bulk = channels.get("bulk-0")!;
    await bulk.hearFrame(FRAME_TYPES.PAGES);
    act(bulk);
  };
}

/** Breaks the urgent connection while its fault line still waits to be attached. */
async function breakWhileAttaching(dest: HostileDest): Promise<void> {
  await dest.welcome();
  const channels = await dest.applicants(3);
  const urgent = channels.get("urgent")!;
  urgent.sayWords(FRAME_TYPES.ATTACHED);
  urgent.socket.resetAndDestroy();
  for (const name of ["fault-0", "bulk-0"]) channels.get(name)!.sayWords(FRAME_TYPES.ATTACHED);
}

/** In place of the word that a channel is attached. */
function onAttach(act: (channel: Peer) => unknown): Attack {
  return async (dest) => {
    await dest.welcome();
    const channel = await dest.accept();
    await channel.hear("attach", "greeting");
    act(channel);
  };
}

function header(fields: Partial<Parameters<typeof writeHeader>[1]>): Uint8Array {
  const bytes = new Uint8Array(16);
  const defaults = { type: MESSAGES.welcome.id, flags: 0, sequence: 0, bodyBytes: 0 };
  writeHeader(new DataView(bytes.buffer), { ...defaults, ...fields });
  return bytes;
}

const running = { generation: 2, receivedMs: 0, firstOperationMs: 0 };
const noPages = Array<number>(MAX_TORN_PAGES + 1).fill(0);

const ATTACKS: readonly (readonly [string, FailureCode, Attack])[] = [
  [
    "answers as a web server",
    "NOT_TRISTAGE",
    onGreeting((control) => {
      control.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
    }),
  ],
  ["hangs up on the greeting", "CONNECTION_LOST", onGreeting((control) => control.socket.end())],
  [
    "refuses in words of its own",
    "PEER_FAILED",
    onGreeting((control) => {
      control.say("failed", { code: "WHATEVER", text: "this destination wants no guest today" });
    }),
  ],
  [
    "runs the guest before it has it",
    "MESSAGE_UNEXPECTED",
    onGreeting((control) => {
      control.say("running", running);
    }),
  ],
  [
    "says something too large",
    "FRAME_TOO_LARGE",
    onGreeting((control) => {
      control.write(header({ bodyBytes: MAX_CONTROL_BYTES + 1 }));
    }),
  ],
  [
    "skips a frame",
    "FRAME_OUT_OF_ORDER",
    onGreeting((control) => {
      control.write(header({ sequence: 1 }));
    }),
  ],
  [
    "says welcome in a way that makes no sense",
    "MESSAGE_MALFORMED",
    onGreeting((control) => {
      control.sayFrame(MESSAGES.welcome.id, Uint8Array.of(0x80));
    }),
  ],
  [
    "says welcome twice",
    "MESSAGE_UNEXPECTED",
    onControl((control) => {
      control.say("welcome", { version: 1, hostId: "again" });
    }),
  ],
  [
    "speaks a version that nobody knows",
    "VERSION_UNSUPPORTED",
    onGreeting((control) => {
      control.say("welcome", { version: 999, hostId: "from the future" });
    }),
  ],
  [
    "says in stage one that the guest runs",
    "MESSAGE_UNEXPECTED",
    onControl((control) => {
      control.say("running", running);
    }),
  ],
  [
    "speaks as a source",
    "MESSAGE_UNEXPECTED",
    onControl((control) => {
      control.say("prepare", {});
    }),
  ],
  ["hangs up on a channel", "CONNECTION_LOST", onAttach((channel) => channel.socket.end())],
  [
    "refuses a channel",
    "PEER_FAILED",
    onAttach((channel) => {
      channel.say("failed", { code: "CHANNEL_TAKEN", text: "this channel is somebody else's now" });
    }),
  ],
  [
    "answers a channel with another message",
    "MESSAGE_UNEXPECTED",
    onAttach((channel) => {
      channel.say("welcome", { version: 1, hostId: "here" });
    }),
  ],
  [
    "answers a channel as a web server",
    "NOT_TRISTAGE",
    onAttach((channel) => {
      channel.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
    }),
  ],
  [
    "names a torn page that is not there",
    "PAGE_OUT_OF_RANGE",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.TORN, 3, 256);
    }),
  ],
  [
    "names no torn page",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.TORN);
    }),
  ],
  [
    "names more torn pages than a frame has",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.TORN, ...noPages);
    }),
  ],
  [
    "asks for a page that is not there",
    "PAGE_OUT_OF_RANGE",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.REQUEST, 0xffff_ffff, 0, 0, 0);
    }),
  ],
  ["breaks a connection before all are attached", "CONNECTION_LOST", breakWhileAttaching],
  [
    "attaches a channel by a frame with numbers",
    "FRAME_MALFORMED",
    onAttach((channel) => {
      channel.sayWords(FRAME_TYPES.ATTACHED, 1);
    }),
  ],
  [
    "attaches a channel by a frame with flags",
    "FRAME_MALFORMED",
    onAttach((channel) => {
      channel.sayFrame(FRAME_TYPES.ATTACHED, new Uint8Array(0), 1);
    }),
  ],
  [
    "passes a barrier that was never sent",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.BARRIER_PASSED, 2);
    }),
  ],
  [
    "gives credit for what was never sent",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayWords(FRAME_TYPES.CREDIT, 0xffff_ffff);
    }),
  ],
  [
    "sends half a number",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.CREDIT, new Uint8Array(2));
    }),
  ],
  [
    "names a torn page in a frame with flags",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.TORN, new Uint8Array(4), 1);
    }),
  ],
  [
    "gives credit in a frame with flags",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.CREDIT, new Uint8Array(4), 1);
    }),
  ],
  [
    "asks for a page in a frame with flags",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.REQUEST, new Uint8Array(16), 1);
    }),
  ],
  [
    "sends pages to the source",
    "FRAME_UNKNOWN",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.PAGES, new Uint8Array(16));
    }),
  ],
];

for (const [what, code, attack] of ATTACKS) {
  test(`source keeps its guest, with ${code}, when the destination ${what}`, async () => {
    const report = await migrateInto(attack);
    assert.equal(report.outcome, "failed");
    assert.equal(report.failure?.code, code, report.failure?.text);
    assertClear(report.failure.text);
    assert.equal((await source.guest()).state, "running");
    assert.deepEqual((await source.status()).migrations, []);
    await source.progress(100);
  });
}

/** Goes through stage one as a destination ought to, up to the switchover. */
async function takeGuest(dest: HostileDest) {
  const control = await dest.welcome();
  const channels = await dest.attach(3);
  const bulk = channels.get("bulk-0")!;
  await bulk.hearFrame(FRAME_TYPES.BARRIER);
  bulk.sayWords(FRAME_TYPES.BARRIER_PASSED, 1);
  control.say("prepared", {});
  await control.hear("switchover", "switchover");
  return { control, bulk, urgent: channels.get("urgent")!, faultLine: channels.get("fault-0")! };
}

test("source believes only an answer to its own question", async () => {
  const report = await migrateInto(async (dest) => {
    const { control } = await takeGuest(dest);
    control.say("failed", { code: "WHATEVER", text: "something went wrong at the switchover" });
    const wrong = await dest.accept();
    const { generation } = await wrong.hear("ask", "greeting");
    wrong.say("owner", { generation: generation + 1, answer: "refused" });
    const garbled = await dest.accept();
    await garbled.hear("ask", "greeting");
    garbled.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert.equal((await source.guest()).state, "inDoubt");
    const right = await dest.accept();
    await right.hear("ask", "greeting");
    right.say("owner", { generation, answer: "refused" });
  });
  assert.equal(report.outcome, "failed");
  assert.equal(report.failure?.code, "PEER_FAILED");
  await source.progress(100);
});

test("after all attacks the guest is the one that never tried to move, and it can move", async () => {
  await assertUnmoved(source);
  await using dest = await Daemon.dest();
  await using other = await Daemon.source("idle", "--memory", "1MiB");
  assert.equal((await other.move(dest)).outcome, "completed");
  await using last = await Daemon.dest();
  assert.equal((await source.move(last)).outcome, "completed");
  await assertUnmoved(last);
});

/** What a destination does in stage three. */
const LATE: readonly (readonly [string, FailureCode, (its: Channels) => unknown])[] = [
  [
    "asks for a page that is not there",
    "PAGE_OUT_OF_RANGE",
    ({ faultLine }) => {
      faultLine.sayWords(FRAME_TYPES.REQUEST, 4000, 0, 0, 0);
    },
  ],
  [
    "speaks of passes where a vCPU asks for pages",
    "FRAME_UNKNOWN",
    ({ faultLine }) => {
      faultLine.sayWords(FRAME_TYPES.TORN, 1);
    },
  ],
  [
    "asks for a page as a vCPU that the guest has not",
    "FRAME_MALFORMED",
    ({ faultLine }) => {
      faultLine.sayWords(FRAME_TYPES.REQUEST, 0, 0, 1, 0);
    },
  ],
  [
    "says that the guest touched pages which were never sent",
    "MESSAGE_MALFORMED",
    ({ control }) => {
      control.say("complete", { ...BODIES.complete, prepullHits: 1 });
    },
  ],
  ["closes the line of a vCPU", "CONNECTION_LOST", ({ faultLine }) => faultLine.socket.end()],
  [
    "gives credit where there is no window",
    "FRAME_MALFORMED",
    ({ urgent }) => {
      urgent.sayWords(FRAME_TYPES.CREDIT, 1);
    },
  ],
  [
    "gives credit for more than was sent",
    "FRAME_MALFORMED",
    ({ bulk }) => {
      bulk.sayWords(FRAME_TYPES.CREDIT, 0x7fff_ffff);
    },
  ],
  [
    "asks for a page again and again",
    "FRAME_MALFORMED",
    ({ bulk }) => {
      for (let times = 0; times < 3; times += 1) bulk.sayWords(FRAME_TYPES.REQUEST, 0, 1, 0, 0);
    },
  ],
  ["hangs up", "CONNECTION_LOST", ({ control }) => control.socket.end()],
];

type Channels = Awaited<ReturnType<typeof takeGuest>>;

for (const [what, code, act] of LATE) {
  test(`source never runs a guest again, with ${code}, when its new host ${what}`, async () => {
    await using host = await Daemon.source("random-writer rate=20000/s", "--memory", "1MiB");
    await using dest = await HostileDest.open();
    const migrationId = await host.migrate(dest.address);
    const channels = await takeGuest(dest);
    channels.control.say("running", running);
    await host.phase("draining", migrationId);
    const { operations } = await host.guest();
    act(channels);
    const report = await host.report(migrationId);
    assert.equal(report.outcome, "stranded");
    assert.equal(report.failure?.code, code);
    const guest = await host.guest();
    assert.deepEqual([guest.state, guest.operations], ["stranded", operations]);
  });
}

test("source sends the pages that its guest worked on before the new host asks for them", async () => {
  // Each operation writes to both halves, so the one that it stops with leaves a dirty page in each, however little it got to do before.
  const module = guestModule(`
    boot: () => [{ at: 0 }],
    step(memory, cpu, operations) {
      for (let left = operations; left > 0; left -= 1) {
        cpu.at = (cpu.at + 1) % (memory.byteLength / 2 / 4096);
        for (const at of [cpu.at * 4096, cpu.at * 4096 + memory.byteLength / 2]) {
          memory.store32(at, memory.loadI32(at) + 1);
        }
      }
      return operations;
    }`);
  await using host = await Daemon.source(module, "--memory", "1MiB");
  await using dest = await HostileDest.open();
  // A guest is watched once its operations are known to be short, which those that run for the first time are not.
  await host.progress(100_000);
  // How much of a page it has written since the pass is not known: each goes whole.
  await host.migrate(dest.address, { tuning: { delta: false } });
  const { urgent } = await takeGuest(dest);
  const { body, flags } = await urgent.hearFrame(FRAME_TYPES.PAGES);
  assert.equal(flags, PURPOSE.PUSH);
  const runs = new Uint32Array(body.slice(0, 4).buffer)[0];
  assert.equal(runs, 2, "one page of each half");
});

test("source sends a page once, however often the new host asks for it", async () => {
  await using host = await Daemon.source("idle", "--memory", "1MiB");
  await using dest = await HostileDest.open();
  const migrationId = await host.migrate(dest.address);
  const { control, urgent, faultLine } = await takeGuest(dest);
  control.say("running", running);
  await host.phase("draining", migrationId);
  for (const page of [5, 5, 5, 6]) faultLine.sayWords(FRAME_TYPES.REQUEST, page, 0, 0, 0);
  const answers = [await urgent.hearFrame(FRAME_TYPES.PAGES)];
  answers.push(await urgent.hearFrame(FRAME_TYPES.PAGES));
  // Behind its head and the table's first run, which is the only one.
  const pages = answers.map(({ body }) => new Uint32Array(body.slice(16, 24).buffer));
  assert.deepEqual(
    pages.map((run) => [...run]),
    [
      [5, 1],
      [6, 1],
    ],
  );
});

test("source is in doubt when the new host answers but never says that the guest runs", async () => {
  const hasty = preload(`
    const { setTimeout: start } = globalThis;
    globalThis.setTimeout = (work, ms, ...rest) =>
      start(work, ms === ${String(RUNNING_TIMEOUT_MS)} ? 100 : ms, ...rest);`);
  await using host = await Daemon.start(["source", "--guest", "idle", "--memory", "1MiB"], {
    nodeOptions: hasty,
  });
  await host.event("guest", ({ state }) => state === "running");
  await using dest = await HostileDest.open();
  const migrationId = await host.migrate(dest.address);
  await takeGuest(dest);
  const doubt = await host.phase("inDoubt", migrationId);
  assert.match(doubt.text, /to say that the guest runs/);
  const asker = await dest.accept();
  const { generation } = await asker.hear("ask", "greeting");
  await assert.rejects(host.resume(), { code: "GUEST_BUSY" });
  asker.say("owner", { generation, answer: "refused" });
  const report = await host.report(migrationId);
  assert.deepEqual([report.outcome, report.failure?.code], ["failed", "PEER_STALLED"]);
  await host.progress(100);
});

test("source is in doubt when the new host says that it runs another generation", async () => {
  await using host = await Daemon.source("idle", "--memory", "1MiB");
  await using dest = await HostileDest.open();
  const migrationId = await host.migrate(dest.address);
  const { control } = await takeGuest(dest);
  control.say("running", { ...running, generation: 9 });
  await host.phase("inDoubt", migrationId);
  const asker = await dest.accept();
  const { generation } = await asker.hear("ask", "greeting");
  asker.say("owner", { generation, answer: "refused" });
  const report = await host.report(migrationId);
  assert.deepEqual([report.outcome, report.failure?.code], ["failed", "MESSAGE_MALFORMED"]);
});
