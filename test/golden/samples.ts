import { encodeMessage } from "../../src/protocol/codec.js";
import { DeltaTable } from "../../src/protocol/deltas.js";
import type { MessageBody, MessageName } from "../../src/protocol/messages.js";
import {
  encodeWords,
  FRAME_TYPES,
  PageTable,
  PURPOSE,
  RUN_KIND,
} from "../../src/protocol/pages.js";
import type { Report } from "../../src/protocol/report.js";

/** Fixed contents for one message of each name and one frame of each type. Every field has a value. */

const session = Uint8Array.from({ length: 32 }, (_, index) => index);
const identity = { migrationId: "m-1", session, guestId: "g-1" };
const latencyUs = { p50: 110, p90: 240.5, p99: 570, max: 1200 };

const report: Report = {
  event: "report",
  migrationId: "m-1",
  startedAt: "2026-11-26T16:17:24.250Z",
  source: "alder-4711",
  destination: "192.0.2.2:7000",
  request: {
    algorithm: "auto",
    maxBandwidth: 125000000,
    maxPostcopyBandwidth: 50000000,
    downtimeLimitMs: 300,
    maxRounds: 12,
    throttle: { startPercent: 20, stepPercent: 10, maxPercent: 99 },
    maxDowntimeMs: 50,
    maxTotalMs: 30000,
    tuning: {
      defer: true,
      unchanged: true,
      delta: true,
      prepull: true,
      checksums: true,
      chunkPages: 256,
    },
  },
  algorithm: "pre-copy",
  choice: { algorithm: "pre-copy", why: "the 9000 dirty pages take 30 ms" },
  rounds: [
    {
      pass: 1,
      pagesSent: 262000,
      pagesSkipped: 144,
      durationMs: 380.5,
      dirtyPagesAfter: 9000,
      throttlePercent: 20,
      stopped: false,
    },
  ],
  stopReason: "downtime-limit",
  outcome: "completed",
  failure: null,
  doubt: null,
  guestId: "g-1",
  guest: "kv",
  vcpuCount: 2,
  generation: 2,
  memoryBytes: 1073741824,
  pageBytes: 4096,
  tracker: "epoch",
  channels: 2,
  times: { preparationMs: 400.25, downtimeMs: 3.5, resumeMs: 60, totalMs: 463.75, passMs: 380.5 },
  downtimeParts: { pauseMs: 0.5, copyMs: 0.25, collectMs: 1, transferMs: 1, startMs: 1 },
  pages: {
    total: 262144,
    transferred: 270000,
    zero: 1000,
    stageOne: 261144,
    stageThree: 8856,
    dirty: 9000,
    deferred: 0,
    unchanged: 144,
    delta: 100,
    pulled: 20,
    prepulled: 300,
    pushed: 8536,
    torn: 12,
    mostSendsOfOnePage: 2,
  },
  bytes: { wire: 1105920000, bulk: 1105000000, urgent: 900000, control: 20000, delta: 81920 },
  faults: {
    count: 25,
    networkFaultPercent: 0.25,
    blocktimeMs: 4.5,
    prepullHits: 200,
    prepullMisses: 100,
    latencyUs,
  },
  guestOps: { before: 2000000, during: 1500000.5, after: null, longestGapMs: 4 },
  throughput: [
    [-10, 2000000],
    [0, 0],
    [10, 1500000.5],
  ],
  verified: { pages: 262144, mismatches: 0 },
};

export const BODIES: { readonly [Name in MessageName]: MessageBody<Name> } = {
  hello: {
    version: 1,
    ...identity,
    token: "secret",
    program: "builtin:kv",
    programSha256: null,
    options: { rate: "500pages/s" },
    ramBytes: 1073741824,
    pageBytes: 4096,
    vcpuCount: 2,
    generation: 1,
    channels: 2,
    checksums: true,
  },
  attach: { version: 1, migrationId: "m-1", session, channel: "bulk-0" },
  ask: { version: 1, ...identity, token: null, generation: 2 },
  prepare: {},
  switchover: {
    generation: 2,
    cpus: [Uint8Array.of(0x81, 0xa1, 0x78, 0x01), Uint8Array.of(0x80)],
    operations: [123456789, 2 ** 33],
    dirty: Uint8Array.of(0b101, 0, 0, 0x80),
  },
  cancel: { by: "operator" },
  report: { report },
  ping: { sentMs: 1000.5 },
  pong: { sentMs: 1000.5, receivedMs: 2000.25 },
  failed: { code: "PEER_SILENT", text: "nothing was heard" },
  probe: { version: 1, token: "secret", bytes: 1048576 },
  welcome: { version: 1, hostId: "host-b" },
  owner: { generation: 2, answer: "refused" },
  prepared: {},
  running: { generation: 2, receivedMs: 2000.25, firstOperationMs: 2001 },
  progress: { missingPages: 512, operationsPerSecond: 1500000.5, faults: 7 },
  complete: {
    completedMs: 2060.5,
    pulled: 20,
    prepulled: 300,
    pushed: 8536,
    unchanged: 144,
    verifiedPages: 262144,
    mismatches: 0,
    faults: 25,
    networkFaults: 20,
    prepullHits: 200,
    blockedMs: 4.5,
  },
  summary: {
    firstOperationMs: 2001,
    latencyUs,
    bins: [
      [2000, 0],
      [2010, 15000],
    ],
  },
  probing: {},
  probed: { receivedBytes: 1048576, spanMs: 8.25 },
};

/** Sequence numbers with four different bytes, so that their order shows. */
const SEQUENCE = 0x04030201;

export function encodeSample(name: MessageName): Uint8Array {
  return encodeMessage(name, BODIES[name] as never, SEQUENCE);
}

/** Without the contents of pages, which follow a table as they are. */
export const FRAMES: { readonly [Type in keyof typeof FRAME_TYPES]: () => Uint8Array } = {
  PAGES: () => {
    const table = new PageTable();
    table.add(0x01020304, RUN_KIND.DATA, 0x14131211, 0x18171615);
    table.add(0x01020305, RUN_KIND.DATA, -1, -2);
    table.add(9, RUN_KIND.ZERO);
    table.add(7, RUN_KIND.UNCHANGED, 0x24232221, 0x28272625);
    return table.bytes(PURPOSE.PREPULL, 5, SEQUENCE);
  },
  DELTAS: () => {
    const table = new DeltaTable();
    table.add(0x01020304, 0b1000_0000_0000_0001, 0x14131211, 0x18171615);
    table.add(9, 0b10, -1, -2);
    const front = new Uint8Array(table.frontBytes);
    table.writeTo(new DataView(front.buffer), PURPOSE.PREPULL, SEQUENCE);
    return front;
  },
  BARRIER: () => encodeWords(FRAME_TYPES.BARRIER, SEQUENCE, [5]),
  REQUEST: () => encodeWords(FRAME_TYPES.REQUEST, SEQUENCE, [0x01020304, 1, 2, 3]),
  BARRIER_PASSED: () => encodeWords(FRAME_TYPES.BARRIER_PASSED, SEQUENCE, [5]),
  TORN: () => encodeWords(FRAME_TYPES.TORN, SEQUENCE, [1, 0x01020304]),
  CREDIT: () => encodeWords(FRAME_TYPES.CREDIT, SEQUENCE, [0x00101000]),
  ATTACHED: () => encodeWords(FRAME_TYPES.ATTACHED, SEQUENCE, []),
};
