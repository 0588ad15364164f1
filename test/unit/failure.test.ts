import assert from "node:assert/strict";
import { test } from "node:test";
import { type BusyState, describe, type Failure, type FailureCode } from "../../src/failure.js";

/** One of each; whatever a sentence is to name stands out. */
const SAMPLES: { readonly [Code in FailureCode]: Omit<Extract<Failure, { code: Code }>, "code"> } =
  {
    NOT_TRISTAGE: { found: 71 },
    FRAME_TOO_LARGE: { lengthBytes: 2048, limitBytes: 1024 },
    FRAME_UNKNOWN: { type: 127 },
    FRAME_TRUNCATED: { missingBytes: 7 },
    FRAME_OUT_OF_ORDER: { sequence: 3, expected: 2 },
    FRAME_MALFORMED: { frame: "torn", detail: "DETAIL" },
    MESSAGE_MALFORMED: { message: "hello", detail: "DETAIL" },
    MESSAGE_UNEXPECTED: { message: "hello", phase: "copying" },
    VERSION_UNSUPPORTED: { theirs: 9, ours: 1 },
    PAGE_OUT_OF_RANGE: { pageIndex: 9, pageCount: 8 },
    PAGE_CORRUPT: { pageIndex: 9 },
    TOKEN_WRONG: {},
    SESSION_UNKNOWN: {},
    CHANNEL_TAKEN: { channel: "bulk-0" },
    CHANNEL_UNKNOWN: { channel: "bulk-9" },
    CANNOT_CONNECT: { address: "host:1", cause: "CAUSE" },
    CONNECTION_LOST: { connection: "control", cause: "CAUSE" },
    PEER_SILENT: { connection: "control", silentMs: 10_000 },
    PEER_STALLED: { awaited: "to say that the guest runs", waitedMs: 10_000 },
    PEER_FAILED: { peerCode: "WHATEVER", text: "TEXT" },
    CANNOT_LISTEN: { address: "host:1", cause: "CAUSE" },
    LISTENS_OPENLY: { address: "host:1" },
    HOST_FULL: { limit: 4 },
    PROBES_FULL: { limit: 2 },
    GEOMETRY_REFUSED: { detail: "DETAIL" },
    MEMORY_SHORT: { wantedBytes: 2048, availableBytes: 1024 },
    JOURNAL_IN_USE: { path: "/a/path" },
    JOURNAL_UNUSABLE: { path: "/a/path", cause: "CAUSE" },
    THREAD_DIED: { thread: "vCPU", cause: "CAUSE" },
    UNSUPPORTED_NODE: { detail: "DETAIL" },
    GUEST_UNKNOWN: { name: "nobody", known: ["idle", "kv"] },
    GUEST_MODULE_MISSING: { path: "/a/path" },
    GUEST_MODULE_INVALID: { path: "/a/path", detail: "DETAIL" },
    GUEST_MODULE_DIFFERS: { path: "/a/path" },
    GUEST_THREW: { guest: "kv", during: "step", text: "TEXT" },
    CPU_STATE_REFUSED: { guest: "kv", detail: "DETAIL" },
    GUEST_SETTING: { guest: "kv", text: "TEXT" },
    GUEST_NOT_HERE: { guestId: "g1" },
    CANNOT_ACCEPT: { address: "127.0.0.1:7000", cause: "accept EMFILE" },
    THREADS_SHORT: { cause: "ERR_WORKER_INIT_FAILED" },
    MIGRATION_UNKNOWN: { migrationId: "m1" },
    GUEST_NOT_LEAVING: { guestId: "g1" },
    GUEST_BUSY: { guestId: "g1", state: "paused" },
    GUEST_OWNED_HERE: { guestId: "g1", generation: 3 },
    USAGE: { detail: "DETAIL" },
    CANCELLED: { by: "a person" },
  };

/** Others write the sentence, advice included; and what a person wanted needs no advice. */
const WITHOUT_ADVICE: ReadonlySet<string> = new Set<FailureCode>([
  "PEER_FAILED",
  "GUEST_SETTING",
  "USAGE",
  "CANCELLED",
]);

/** All of them, by the compiler. */
const BUSY_STATES: Record<BusyState, true> = {
  booting: true,
  running: true,
  paused: true,
  migrating: true,
  arriving: true,
  leaving: true,
  handedOver: true,
  handingOver: true,
  inDoubt: true,
  stranded: true,
  crashed: true,
};

for (const state of Object.keys(BUSY_STATES) as BusyState[]) {
  test(`GUEST_BUSY says in one line what a guest that is ${state} does, then what to do`, () => {
    const text = describe({ code: "GUEST_BUSY", guestId: "g1", state });
    assert.match(text, /^guest g1 is [^;]{5,}; [^;]{12,}$/);
  });
}

for (const [code, facts] of Object.entries(SAMPLES)) {
  test(`${code} says in one line what happened, then what to do`, () => {
    const text = describe({ code, ...facts } as Failure);
    assert.doesNotMatch(text, /undefined|NaN|\[object|\n/);
    if (!WITHOUT_ADVICE.has(code)) assert.match(text, /^[^;]{15,}; [^;]{15,}$/);
  });
}
