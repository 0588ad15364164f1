import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { protocolDocument } from "../../../scripts/protocol-document.js";
import { HEADER_BYTES, MAGIC, writeHeader } from "../../../src/protocol/frame.js";
import * as limits from "../../../src/protocol/limits.js";
import { MESSAGES } from "../../../src/protocol/messages.js";
import { FRAME_TYPES } from "../../../src/protocol/pages.js";
import { inRepository } from "../../repository.js";

const document = protocolDocument();

/** Whether `name` stands in the document as code. */
function names(name: string): boolean {
  return document.includes(`\`${name}\``);
}

test("PROTOCOL.md is what the code says", () => {
  const onDisk = readFileSync(inRepository("PROTOCOL.md"), "utf8");
  assert.ok(onDisk === document, "PROTOCOL.md is out of date; run: npm run docs");
});

test("the protocol document names every message, frame and limit", () => {
  const all = [MESSAGES, FRAME_TYPES, limits].flatMap((table) => Object.keys(table));
  assert.deepEqual(
    all.filter((name) => !names(name)),
    [],
  );
});

test("the course of a migration in the protocol document has every message", () => {
  const from = document.indexOf("## The course of a migration");
  const course = document.slice(from, document.indexOf("\n## ", from + 1));
  const missing = Object.keys(MESSAGES).filter((name) => !new RegExp(`\\b${name}\\b`).test(course));
  assert.deepEqual(missing, []);
});

test("the header in the protocol document is the header on the wire", () => {
  const wire = new Uint8Array(HEADER_BYTES);
  writeHeader(new DataView(wire.buffer), {
    type: 0xa1,
    flags: 0xa2,
    sequence: 0xa6a5a4a3,
    bodyBytes: 0xaaa9a8a7,
  });
  const begin = (field: string) => {
    const row = new RegExp(`^\\| (\\d+) +\\| (\\d+) +\\| ${field}`, "m").exec(document);
    assert.ok(row, `the document has no field ${field}`);
    const [offset, bytes] = [Number(row[1]), Number(row[2])];
    return Buffer.from(wire.subarray(offset, offset + bytes)).toString("hex");
  };
  assert.equal(begin("magic"), Buffer.from("TRI3").toString("hex"));
  assert.equal(Buffer.from("TRI3").readUInt32LE(), MAGIC);
  assert.equal(begin("type"), "a1");
  assert.equal(begin("flags"), "a2");
  assert.equal(begin("reserved"), "0000");
  assert.equal(begin("sequence"), "a3a4a5a6");
  assert.equal(begin("length"), "a7a8a9aa");
});
