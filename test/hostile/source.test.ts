import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { FailureCode } from "../../src/failure.js";
import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { BLOCK_BYTES } from "../../src/protocol/deltas.js";
import { writeHeader } from "../../src/protocol/frame.js";
import { MAX_CONTROL_BYTES, MAX_DATA_PAGES, MAX_RUNS } from "../../src/protocol/limits.js";
import { FRAME_TYPES, MAX_PAGES_FRAME_BYTES, PURPOSE, RUN_KIND } from "../../src/protocol/pages.js";
import { Daemon } from "../process/daemon.js";
import { assertUnharmed, complaintAbout } from "./besieged.js";
import { HostileSource, PAGE_COUNT, Peer } from "./peer.js";

/** Sources that turn hostile before the switchover, against one destination that goes on serving. */
let host: Daemon;
before(async () => {
  host = await Daemon.dest();
});
after(() => host[Symbol.asyncDispose]());

/** What a source does once it is welcome; resolves with the connection on which it did it. */
type Attack = (source: HostileSource) => Promise<Peer> | Peer;

/** The body of a page frame that says of itself whatever it likes. */
function pagesBody(
  head: readonly [runs: number, data: number, unchanged: number, pass: number],
  runs: readonly (readonly [firstPage: number, pageCount: number, kind: number])[],
  rest: number,
): Uint8Array {
  const words = Uint32Array.from([...head, ...runs.flat()]);
  return Buffer.concat([new Uint8Array(words.buffer), Buffer.alloc(rest)]);
}

/** On a bulk channel in stage one. */
function onBulk(act: (bulk: Peer) => void): Attack {
  return async (source) => {
    const bulk = await source.attach("bulk-0");
    act(bulk);
    return bulk;
  };
}

function onControl(act: (control: Peer) => void): Attack {
  return (source) => {
    act(source.control);
    return source.control;
  };
}

function pages(...body: Parameters<typeof pagesBody>): Attack {
  return onBulk((bulk) => {
    bulk.sayFrame(FRAME_TYPES.PAGES, pagesBody(...body));
  });
}

/** A frame of deltas that says of itself whatever it likes. */
function deltas(
  head: readonly [pages: number, blocks: number],
  table: readonly (readonly [page: number, blocks: number])[],
  contentBytes: number,
  purpose: number = PURPOSE.PUSH,
): Attack {
  const words = [...head, ...table.flatMap((delta) => [...delta, 0, 0])];
  const body = [Buffer.from(Uint32Array.from(words).buffer), Buffer.alloc(contentBytes)];
  return onBulk((bulk) => {
    bulk.sayFrame(FRAME_TYPES.DELTAS, Buffer.concat(body), purpose);
  });
}

/** After stage one. */
function switchover(...how: Parameters<HostileSource["switchOver"]>): Attack {
  return async (source) => {
    await source.copy();
    source.switchOver(...how);
    return source.control;
  };
}

function header(fields: Partial<Parameters<typeof writeHeader>[1]>): Uint8Array {
  const bytes = new Uint8Array(16);
  const defaults = { type: FRAME_TYPES.PAGES, flags: 0, sequence: 1, bodyBytes: 0 };
  writeHeader(new DataView(bytes.buffer), { ...defaults, ...fields });
  return bytes;
}

const { DATA, ZERO, UNCHANGED } = RUN_KIND;

const ATTACKS: readonly (readonly [string, FailureCode, Attack])[] = [
  // The control connection
  ["hangs up", "CONNECTION_LOST", onControl((control) => control.socket.end())],
  [
    "says hello again",
    "MESSAGE_UNEXPECTED",
    (source) => {
      source.control.say("hello", source.hello);
      return source.control;
    },
  ],
  [
    "switches over before the vCPUs are ready",
    "MESSAGE_UNEXPECTED",
    (source) => {
      source.switchOver([]);
      return source.control;
    },
  ],
  [
    "speaks as a destination",
    "MESSAGE_UNEXPECTED",
    onControl((control) => {
      control.say("prepared", {});
    }),
  ],
  [
    "sends a control message that is too large",
    "FRAME_TOO_LARGE",
    onControl((control) => {
      control.write(header({ type: 0x05, bodyBytes: MAX_CONTROL_BYTES + 1 }));
    }),
  ],
  [
    "sends pages on the control connection",
    "FRAME_UNKNOWN",
    onControl((control) => {
      control.sayFrame(FRAME_TYPES.PAGES, new Uint8Array(16));
    }),
  ],
  [
    "skips a frame",
    "FRAME_OUT_OF_ORDER",
    onControl((control) => {
      control.write(header({ type: 0x04, sequence: 2 }));
    }),
  ],
  // The data connections
  [
    "closes a channel",
    "CONNECTION_LOST",
    onBulk((bulk) => {
      bulk.socket.end();
    }),
  ],
  [
    "closes a channel in the middle of a page",
    "FRAME_TRUNCATED",
    onBulk((bulk) => {
      const body = pagesBody([1, 1, 0, 1], [[0, 1, DATA]], 8 + 4096);
      bulk.write(header({ bodyBytes: body.byteLength }));
      bulk.socket.end(body.subarray(0, 1000));
    }),
  ],
  [
    "speaks HTTP on a channel",
    "NOT_TRISTAGE",
    onBulk((bulk) => {
      bulk.write(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    }),
  ],
  [
    "sends a page frame that is too large",
    "FRAME_TOO_LARGE",
    onBulk((bulk) => {
      bulk.write(header({ bodyBytes: MAX_PAGES_FRAME_BYTES + 1 }));
    }),
  ],
  [
    "sends an unknown data frame",
    "FRAME_UNKNOWN",
    onBulk((bulk) => {
      bulk.sayFrame(0x7f, new Uint8Array(4));
    }),
  ],
  [
    "skips a data frame",
    "FRAME_OUT_OF_ORDER",
    onBulk((bulk) => {
      bulk.write(header({ type: FRAME_TYPES.BARRIER, sequence: 7, bodyBytes: 4 }));
    }),
  ],
  [
    "ends a pass with a barrier of the wrong size",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.BARRIER, new Uint8Array(8));
    }),
  ],
  [
    "announces a barrier that is far too large",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.write(header({ type: FRAME_TYPES.BARRIER, bodyBytes: 2 ** 20 }));
    }),
  ],
  [
    "ends a pass with a barrier that has flags",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.BARRIER, new Uint8Array(4), 1);
    }),
  ],
  [
    "sends pages for no known purpose",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.PAGES, pagesBody([1, 0, 0, 1], [[0, 1, ZERO]], 0), 4);
    }),
  ],
  [
    "sends a page frame without a head",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.PAGES, new Uint8Array(12));
    }),
  ],
  ["names a page that is not there", "PAGE_OUT_OF_RANGE", pages([1, 0, 0, 1], [[99, 1, ZERO]], 0)],
  [
    "names a run that ends behind the last page",
    "PAGE_OUT_OF_RANGE",
    pages([1, 0, 0, 1], [[PAGE_COUNT - 1, 2, ZERO]], 0),
  ],
  [
    "names a run of four billion pages",
    "PAGE_OUT_OF_RANGE",
    pages([1, 0, 0, 1], [[1, 0xffff_ffff, ZERO]], 0),
  ],
  ["sends a frame of no runs", "FRAME_MALFORMED", pages([0, 0, 0, 1], [], 0)],
  ["sends an empty run", "FRAME_MALFORMED", pages([1, 0, 0, 1], [[0, 0, ZERO]], 0)],
  ["sends a run of no known kind", "FRAME_MALFORMED", pages([1, 0, 0, 1], [[0, 1, 3]], 0)],
  [
    "sends more runs than may be",
    "FRAME_MALFORMED",
    pages([MAX_RUNS + 1, 0, 0, 1], Array(MAX_RUNS + 1).fill([0, 1, ZERO]), 0),
  ],
  [
    "announces more pages than may be",
    "FRAME_MALFORMED",
    pages([1, 0, MAX_DATA_PAGES + 1, 1], [[0, 1, UNCHANGED]], 8 * (MAX_DATA_PAGES + 1)),
  ],
  [
    "sends a table that is longer than its frame",
    "FRAME_MALFORMED",
    pages([2, 0, 0, 1], [[0, 1, ZERO]], 0),
  ],
  [
    "announces a page that no run names",
    "FRAME_MALFORMED",
    pages([1, 1, 0, 1], [[0, 1, ZERO]], 8 + 4096),
  ],
  [
    "names more pages than it announces",
    "FRAME_MALFORMED",
    pages([1, 1, 0, 1], [[0, 2, DATA]], 8 + 4096),
  ],
  [
    "pushes a delta before the switchover",
    "MESSAGE_UNEXPECTED",
    deltas([1, 1], [[0, 1]], BLOCK_BYTES),
  ],
  [
    "sends a delta in a pass",
    "FRAME_MALFORMED",
    deltas([1, 1], [[0, 1]], BLOCK_BYTES, PURPOSE.PASS),
  ],
  [
    "sends deltas for no known purpose",
    "FRAME_MALFORMED",
    deltas([1, 1], [[0, 1]], BLOCK_BYTES, 4),
  ],
  [
    "sends a frame of deltas without a head",
    "FRAME_MALFORMED",
    onBulk((bulk) => {
      bulk.sayFrame(FRAME_TYPES.DELTAS, new Uint8Array(4), PURPOSE.PUSH);
    }),
  ],
  ["sends a frame of no deltas", "FRAME_MALFORMED", deltas([0, 0], [], 0)],
  [
    "sends more deltas than may be",
    "FRAME_MALFORMED",
    deltas(
      [MAX_DATA_PAGES + 1, MAX_DATA_PAGES + 1],
      Array(MAX_DATA_PAGES + 1).fill([0, 1]),
      BLOCK_BYTES * (MAX_DATA_PAGES + 1),
    ),
  ],
  [
    "sends a delta of a page that is not there",
    "PAGE_OUT_OF_RANGE",
    deltas([1, 1], [[PAGE_COUNT, 1]], BLOCK_BYTES),
  ],
  [
    "sends a delta of no blocks",
    "FRAME_MALFORMED",
    deltas(
      [2, 2],
      [
        [0, 0],
        [1, 3],
      ],
      2 * BLOCK_BYTES,
    ),
  ],
  [
    "sends a delta of seventeen blocks",
    "FRAME_MALFORMED",
    deltas([1, 16], [[0, 0x1ffff]], PAGE_BYTES),
  ],
  [
    "announces more blocks than pages have",
    "FRAME_MALFORMED",
    deltas([1, 17], [[0, 0xffff]], 17 * BLOCK_BYTES),
  ],
  [
    "announces more blocks than its deltas name",
    "FRAME_MALFORMED",
    deltas([1, 2], [[0, 1]], 2 * BLOCK_BYTES),
  ],
  [
    "sends fewer blocks than it announces",
    "FRAME_MALFORMED",
    deltas([1, 2], [[0, 3]], BLOCK_BYTES),
  ],
  [
    "pushes a page before the switchover",
    "MESSAGE_UNEXPECTED",
    onBulk((bulk) => {
      bulk.sayZeroPages(PURPOSE.PUSH, 0, 1);
    }),
  ],
  // The switchover
  ["hands over another generation", "MESSAGE_MALFORMED", switchover([], { generation: 3 })],
  ["hands over no CPU", "MESSAGE_MALFORMED", switchover([], { cpus: [] })],
  [
    "hands over another number of vCPUs",
    "MESSAGE_MALFORMED",
    switchover([], { operations: [0, 0] }),
  ],
  [
    "hands over a CPU state that is none",
    "MESSAGE_MALFORMED",
    switchover([], { cpus: [Uint8Array.of(0x2a)] }),
  ],
  [
    "hands over a bitmap of another guest",
    "MESSAGE_MALFORMED",
    switchover([], { dirty: new Uint8Array(8) }),
  ],
  [
    "hands over a bitmap with pages behind the last",
    "MESSAGE_MALFORMED",
    switchover([], { dirty: Uint8Array.of(0, 0, 1, 0) }),
  ],
  [
    "hands over a guest whose pages it never sent",
    "MESSAGE_MALFORMED",
    async (source) => {
      const bulk = await source.attach("bulk-0");
      bulk.sayZeroPages(PURPOSE.PASS, 0, PAGE_COUNT - 1);
      source.control.say("prepare", {});
      await source.control.hear("prepared", "copying");
      source.switchOver([]);
      return source.control;
    },
  ],
  [
    "sends a guest with settings that make no sense",
    "GUEST_SETTING",
    onControl((control) => {
      control.say("prepare", {});
    }),
  ],
];

for (const [what, code, act] of ATTACKS) {
  test(`dest frees what it has, with one error, ${code}, when its source ${what}`, async () => {
    const options = code === "GUEST_SETTING" ? { rate: "-1" } : {};
    const program = code === "GUEST_SETTING" ? "builtin:random-writer" : "builtin:idle";
    using source = await HostileSource.greet(host.target, { program, options });
    const complaint = await complaintAbout(host, code, async () => {
      await act(source);
      await source.control.hungUp();
    });
    assert.equal(complaint.migrationId, source.hello.migrationId);
    const { guests, migrations } = await host.status();
    assert.deepEqual([guests, migrations], [[], []]);
  });
}

test("dest does not give a channel to a second connection, nor one that was not agreed on", async () => {
  using source = await HostileSource.greet(host.target);
  await source.attach("bulk-0");
  await source.attach("fault-0");
  for (const [channel, code] of [
    ["bulk-0", "CHANNEL_TAKEN"],
    ["bulk-1", "CHANNEL_UNKNOWN"],
    ["fault-0", "CHANNEL_TAKEN"],
    ["fault-1", "CHANNEL_UNKNOWN"],
    ["control", "CHANNEL_UNKNOWN"],
  ] as const) {
    await complaintAbout(host, code, () => refusedAttach(source, { channel }));
  }
  await complaintAbout(host, "SESSION_UNKNOWN", () =>
    refusedAttach(source, { channel: "urgent", session: new Uint8Array(32) }),
  );
  // The migration itself is as it was.
  await source.attach("urgent");
  source.control.say("cancel", { by: "the test" });
  await source.control.hungUp();
});

async function refusedAttach(
  source: HostileSource,
  claim: { readonly channel: string; readonly session?: Uint8Array<ArrayBuffer> },
): Promise<void> {
  const { version, migrationId, session } = source.hello;
  using peer = await Peer.connect(host.target);
  peer.say("attach", { version, migrationId, session, ...claim });
  await peer.hear("failed", "greeting");
  await peer.hungUp();
}

test("after all attacks dest receives a guest as ever", () => assertUnharmed(host));
