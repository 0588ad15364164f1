import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { decodeMessage } from "../../src/protocol/codec.js";
import { HEADER_BYTES, readHeader } from "../../src/protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../../src/protocol/limits.js";
import { type MessageName, MESSAGES } from "../../src/protocol/messages.js";
import { type FRAME_TYPES } from "../../src/protocol/pages.js";
import { PROTOCOL_VERSION } from "../../src/protocol/version.js";
import { inRepository } from "../repository.js";
import { BODIES, encodeSample, FRAMES } from "./samples.js";

/** What the samples look like on the wire: header and body in hexadecimal digits. */
interface Golden {
  readonly version: number;
  readonly messages: Readonly<Record<string, string>>;
  readonly frames: Readonly<Record<string, string>>;
}

const PATH = inRepository("test/golden/wire.json");
const UPDATE = "TRISTAGE_UPDATE_GOLDEN=1 npm test -- golden";

const names = Object.keys(BODIES) as MessageName[];
const types = Object.keys(FRAMES) as (keyof typeof FRAME_TYPES)[];

function digits(frame: Uint8Array): string {
  const text = Buffer.from(frame).toString("hex");
  return `${text.slice(0, HEADER_BYTES * 2)} ${text.slice(HEADER_BYTES * 2)}`.trimEnd();
}

if (process.env["TRISTAGE_UPDATE_GOLDEN"] === "1") {
  const golden: Golden = {
    version: PROTOCOL_VERSION,
    messages: Object.fromEntries(names.map((name) => [name, digits(encodeSample(name))])),
    frames: Object.fromEntries(types.map((type) => [type, digits(FRAMES[type]())])),
  };
  writeFileSync(PATH, `${JSON.stringify(golden, null, 2)}\n`);
}

const golden = JSON.parse(readFileSync(PATH, "utf8")) as Golden;

function advice(what: string): string {
  return (
    `The wire format of ${what} changed. A host of another release may misunderstand it. ` +
    `If that is meant, raise PROTOCOL_VERSION in src/protocol/version.ts, keep reading the previous ` +
    `version, and write the golden file anew: ${UPDATE}`
  );
}

for (const name of names) {
  test(`golden message ${name} is written as it always was`, () => {
    assert.equal(digits(encodeSample(name)), golden.messages[name], advice(`message ${name}`));
  });

  test(`golden message ${name} is still understood`, () => {
    const frame = Buffer.from((golden.messages[name] ?? "").replace(" ", ""), "hex");
    const header = readHeader(frame, 0x04030201, MAX_CONTROL_BYTES);
    const { sender, phases } = MESSAGES[name];
    const body = new Uint8Array(frame.subarray(HEADER_BYTES));
    const from = sender === "both" ? "source" : sender;
    const received = decodeMessage({ ...header, body }, from, phases[0]);
    assert.deepEqual(received, { name, body: BODIES[name] }, advice(`message ${name}`));
  });
}

for (const type of types) {
  test(`golden frame ${type} is written as it always was`, () => {
    assert.equal(digits(FRAMES[type]()), golden.frames[type], advice(`frame ${type}`));
  });
}

test("golden data is of this protocol version, and names nothing that is gone", () => {
  assert.equal(
    golden.version,
    PROTOCOL_VERSION,
    `PROTOCOL_VERSION was raised; write the golden file anew: ${UPDATE}`,
  );
  assert.deepEqual(Object.keys(golden.messages), names, advice("the set of messages"));
  assert.deepEqual(Object.keys(golden.frames), types, advice("the set of frames"));
});
