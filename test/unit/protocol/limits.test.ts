import assert from "node:assert/strict";
import { test } from "node:test";
import { type BodyShape, bodyShape, MESSAGE_NAMES } from "../../../scripts/body-shape.js";
import type { FailureCode } from "../../../src/failure.js";
import { decodeMessage, encodeMessage, unpackCpu } from "../../../src/protocol/codec.js";
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  HEADER_BYTES,
} from "../../../src/protocol/frame.js";
import * as limits from "../../../src/protocol/limits.js";
import { MESSAGES } from "../../../src/protocol/messages.js";
import {
  decodeWords,
  PAGES_HEAD_BYTES,
  readPagesHead,
  readRuns,
  RUN_KIND,
} from "../../../src/protocol/pages.js";
import { WordFrames } from "../../../src/transport/word-frames.js";
import { BODIES } from "../../golden/samples.js";
import { failsWith } from "../../failures.js";

/** What the peer says: `amount` of the thing that the limit is about. */
interface Check {
  readonly say: (amount: number) => unknown;
  readonly refusedWith: FailureCode;
}

/** One check for each limit; undefined for those that are kept outside the protocol. */
const CHECKS: Readonly<Record<keyof typeof limits, Check | undefined>> = {
  MAX_GREETING_BYTES: frameOfBytes(limits.MAX_GREETING_BYTES),
  MAX_CONTROL_BYTES: frameOfBytes(limits.MAX_CONTROL_BYTES),
  MAX_ANSWER_BYTES: {
    say: (bytes) => {
      const frames = new WordFrames();
      const heard: Frame[] = [];
      const fail = (error: Error) => {
        throw error;
      };
      frames.listen({ take: (frame) => heard.push(frame), fail });
      const sent = encodeFrame(1, 0, new Uint8Array(bytes)).subarray(0, frames.next().byteLength);
      frames.next().set(sent);
      frames.filled(sent.byteLength);
      assert.equal(heard.length, 1);
    },
    refusedWith: "FRAME_TOO_LARGE",
  },
  MAX_NESTING: {
    // Lists of one item, within one another.
    say: (levels) => unpackCpu(Uint8Array.of(...new Uint8Array(levels).fill(0x91), 0)),
    refusedWith: "MESSAGE_MALFORMED",
  },
  MAX_CPU_STATE_BYTES: {
    say: (bytes) => receive("switchover", { cpus: [new Uint8Array(bytes)] }),
    refusedWith: "MESSAGE_MALFORMED",
  },
  MAX_BITMAP_BYTES: {
    say: (bytes) => receive("switchover", { dirty: new Uint8Array(bytes) }),
    refusedWith: "MESSAGE_MALFORMED",
  },
  MAX_DATA_PAGES: {
    // Pages with a checksum: those with contents and the unchanged ones together.
    say: (pages) =>
      readTable(
        [
          [0, pages - 1, RUN_KIND.DATA],
          [pages, 1, RUN_KIND.UNCHANGED],
        ],
        0x10000,
      ),
    refusedWith: "FRAME_MALFORMED",
  },
  MAX_RUNS: {
    say: (runs) =>
      readTable(
        Array.from({ length: runs }, (_, run) => [run * 2, 1, RUN_KIND.ZERO]),
        0x10000,
      ),
    refusedWith: "FRAME_MALFORMED",
  },
  MAX_DESCRIBED_PAGES: {
    // In two runs, since the sum is what matters.
    say: (pages) =>
      readTable(
        [
          [0, pages - 1, RUN_KIND.ZERO],
          [0, 1, RUN_KIND.ZERO],
        ],
        limits.MAX_DESCRIBED_PAGES,
      ),
    refusedWith: "FRAME_MALFORMED",
  },
  MAX_TORN_PAGES: {
    say: (pages) => {
      const body = new Uint8Array(pages * 4);
      decodeWords("torn", { flags: 0, body }, 1, limits.MAX_TORN_PAGES);
    },
    refusedWith: "FRAME_MALFORMED",
  },
  MAX_CHANNELS: {
    say: (channels) => receive("hello", { channels }),
    refusedWith: "MESSAGE_MALFORMED",
  },
  MAX_PASSES: {
    say: (passes) => {
      const [round] = BODIES.report.report.rounds;
      const rounds = Array.from({ length: passes }, () => round);
      receive("report", { report: { ...BODIES.report.report, rounds } });
    },
    refusedWith: "MESSAGE_MALFORMED",
  },
  // Kept by whoever takes requests.
  MAX_ROUNDS: undefined,
  MAX_DURATION_MS: undefined,
  MAX_PROBE_BYTES: {
    say: (bytes) => receive("probe", { bytes }),
    refusedWith: "MESSAGE_MALFORMED",
  },
  // Kept by whoever accepts connections.
  MAX_PROBES: undefined,
  PROBE_TIMEOUT_MS: undefined,
  MAX_INCOMING: undefined,
  GREETING_TIMEOUT_MS: undefined,
  // Kept by the source, whatever the destination says.
  RUNNING_TIMEOUT_MS: undefined,
  STALL_TIMEOUT_MS: undefined,
  BARRIER_TIMEOUT_MS: undefined,
  REPORT_TIMEOUT_MS: undefined,
};

for (const [name, check] of Object.entries(CHECKS)) {
  if (check === undefined) continue;
  const limit = limits[name as keyof typeof limits];

  test(`${name} is accepted, and one more is refused`, () => {
    check.say(limit);
    failsWith(check.refusedWith, () => check.say(limit + 1));
  });
}

test("MAX_CONTROL_BYTES holds the largest message of every kind", () => {
  for (const name of MESSAGE_NAMES) {
    const body = largest(bodyShape(name)) as never;
    const bytes = encodeMessage(name, body, 0).byteLength - HEADER_BYTES;
    assert.ok(bytes <= limits.MAX_CONTROL_BYTES, `${name} can have ${String(bytes)} bytes`);
  }
});

test("MAX_GREETING_BYTES holds the largest greeting of every kind", () => {
  for (const name of ["hello", "attach", "ask", "probe"] as const) {
    const body = largest(bodyShape(name)) as never;
    const bytes = encodeMessage(name, body, 0).byteLength - HEADER_BYTES;
    assert.ok(bytes <= limits.MAX_GREETING_BYTES, `${name} can have ${String(bytes)} bytes`);
  }
});

function frameOfBytes(limitBytes: number): Check {
  return {
    say: (bytes) => {
      const frames = [
        ...new FrameDecoder(limitBytes).push(encodeFrame(1, 0, new Uint8Array(bytes))),
      ];
      assert.equal(frames.length, 1);
    },
    refusedWith: "FRAME_TOO_LARGE",
  };
}

/** Sends the golden message with `changes`, as its receiver would get it. */
function receive(name: "hello" | "switchover" | "report" | "probe", changes: object): void {
  const frame = encodeMessage(name, { ...BODIES[name], ...changes }, 0);
  const [received] = new FrameDecoder(limits.MAX_CONTROL_BYTES).push(frame);
  decodeMessage(received!, "source", MESSAGES[name].phases[0]);
}

function readTable(runs: readonly (readonly number[])[], pageCount: number): void {
  const pagesOf = (kind: number) =>
    runs.reduce((sum, run) => sum + (run[2] === kind ? run[1]! : 0), 0);
  const [data, unchanged] = [pagesOf(RUN_KIND.DATA), pagesOf(RUN_KIND.UNCHANGED)];
  const checksums = Array.from({ length: (data + unchanged) * 2 }, () => 0);
  const words = [runs.length, data, unchanged, 0, ...runs.flat(), ...checksums];
  const body = new Uint8Array(Uint32Array.from(words).buffer);
  const head = readPagesHead(body, body.byteLength + data * 4096);
  readRuns(body.subarray(PAGES_HEAD_BYTES), head, pageCount);
}

/** A body as large as the table allows; where it sets no limit, as large as ours get. */
function largest(shape: BodyShape): unknown {
  if ("anyOf" in shape)
    return largest(shape.anyOf.find((it) => !("type" in it && it.type === "null"))!);
  switch (shape.type) {
    case "null":
      return null;
    case "boolean":
      return true;
    case "integer":
    case "number":
      return 2 ** 40;
    case "bytes":
      return new Uint8Array(shape.maxLength);
    case "string":
      return shape.const ?? shape.enum?.[0] ?? "x".repeat(shape.maxLength ?? 64);
    case "array": {
      if (shape.prefixItems !== undefined) return shape.prefixItems.map(largest);
      const { items, maxItems = 0 } = shape;
      return items === false ? [] : Array.from({ length: maxItems }, () => largest(items));
    }
    case "object": {
      const { properties, additionalProperties } = shape;
      if (properties === undefined) {
        const value = additionalProperties === false ? null : largest(additionalProperties);
        return Object.fromEntries(["a", "b", "c", "d"].map((key) => [key.repeat(256), value]));
      }
      return Object.fromEntries(Object.entries(properties).map(([key, it]) => [key, largest(it)]));
    }
  }
}
