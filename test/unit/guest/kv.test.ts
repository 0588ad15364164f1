import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { GuestOptions } from "../../../src/guest/program.js";
import { idle } from "../../../src/guest/programs/idle.js";
import { kv } from "../../../src/guest/programs/kv.js";
import { StoreBuilder } from "../../../src/guest/programs/kv-builder.js";
import { HEADER, keyHash, RECORD, SLOT } from "../../../src/guest/programs/kv-layout.js";
import { openStore, readRecord } from "../../../src/guest/programs/kv-store.js";
import { textRecords } from "../../../src/guest/programs/kv-text.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { randomNumbers } from "../../random.js";
import { seed } from "../../seed.js";
import { BootedGuest } from "./booted-guest.js";

const READ_ONLY: GuestOptions = { mix: "C", theta: "0" };

const folder = mkdtempSync(join(tmpdir(), "tristage-kv-"));
after(() => {
  rmSync(folder, { recursive: true });
});

/** Makes a folder of text files under a name of its own; returns its path. */
function library(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const path = join(folder, name);
  for (const [file, contents] of Object.entries(files)) {
    mkdirSync(join(path, file, ".."), { recursive: true });
    writeFileSync(join(path, file), contents);
  }
  return path;
}

/** The first `count` records of the text there. */
function firstRecords(path: string, count: number): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (const { key, value } of textRecords(path)) {
    found.push([Buffer.from(key).toString(), Buffer.from(value).toString()]);
    if (found.length === count) break;
  }
  return found;
}

function isIn(guest: BootedGuest, text: string): boolean {
  return Buffer.from(guest.bytes).includes(text);
}

test("kv never finds a sound record corrupt, in any mix", () => {
  for (const [mix, reads] of [
    ["A", 0.5],
    ["B", 0.95],
    ["C", 1],
  ] as const) {
    const guest = new BootedGuest(kv, { options: { mix } });
    guest.run(0, 20_000);
    const counters = guest.cpu;
    assert.equal(counters.corrupt, 0);
    assert.equal(counters.reads + counters.updates, 20_000);
    assert.ok(Math.abs(counters.reads / 20_000 - reads) < 0.02, JSON.stringify(counters));
  }
});

test("kv fills the share of memory that it is told to", () => {
  for (const [fill, share] of [
    ["60%", 0.6],
    ["0.9", 0.9],
    ["256KiB", 0.25],
  ] as const) {
    const { bytes } = new BootedGuest(kv, { options: { fill } });
    const used = bytes.findLastIndex((byte) => byte !== 0) / bytes.length;
    assert.ok(used <= share && used > share - 0.05, `${fill}: ${String(used)}`);
  }
});

test("kv loads as many records as it is told to, dealt out to its vCPUs", () => {
  const guest = new BootedGuest(kv, { vcpuCount: 3, options: { records: "100" } });
  const counts = guest.cpus.map((cpu) => cpu.keys.count);
  assert.deepEqual(counts, [34, 33, 33]);
});

test("kv finds any bit flipped in a record, its index or its header", () => {
  const random = randomNumbers(seed);
  const pristine = new BootedGuest(kv, { ramBytes: 2 ** 16, options: READ_ONLY });
  const used = pristine.bytes.findLastIndex((byte) => byte !== 0);
  const guest = new BootedGuest(kv, { ramBytes: 2 ** 16, options: READ_ONLY });
  for (let i = 0; i < 300; i++) {
    const address = i < HEADER.BYTES ? i : random(used + 1);
    const flipped = pristine.bytes[address]! ^ (1 << random(8));
    guest.bytes.set(pristine.bytes);
    guest.cpus[0] = structuredClone(pristine.cpus[0]!);
    guest.bytes[address] = flipped;
    guest.run(0, 2000);
    const { corrupt } = guest.cpu;
    assert.ok(corrupt > 0 || isFreeSlot(pristine, address), `address ${String(address)}`);
  }
});

/** Whether `address` lies in a slot that is free, so that nothing is lost there. */
function isFreeSlot({ memory }: BootedGuest, address: number): boolean {
  const slots = memory.loadU32(HEADER.SLOTS);
  if (address < slots) return false;
  const slot = address - ((address - slots) % SLOT.BYTES);
  return memory.loadU32(slot) === 0;
}

test("kv finds an entry of its directory that leads to another record", () => {
  const guest = new BootedGuest(kv, { options: { mix: "A", theta: "0", records: "2" } });
  const directory = guest.memory.loadU32(HEADER.DIRECTORY);
  guest.memory.store32(directory, guest.memory.loadU32(directory + 4));
  guest.run(0, 1000);
  assert.ok(guest.cpu.corrupt > 400);
});

test("kv tells two keys of the same hash apart", () => {
  const { memory } = new BootedGuest(idle, { options: { content: "zero" } });
  const builder = new StoreBuilder(memory, 0, memory.byteLength);
  const [one, two] = keysOfOneHash();
  const value = Buffer.from("value");
  builder.append({ key: one, value });
  builder.append({ key: two, value });
  builder.finish();
  const store = openStore(memory, 0)!;
  const isSound = () => [0, 1].map((number) => readRecord(memory, store, number));
  assert.deepEqual(isSound(), [true, true]);
  memory.store8(store.recordsEnd - 1, 1); // in the second record
  assert.deepEqual(isSound(), [true, false]);
});

/** By trying numbers until one meets the hash of another. */
function keysOfOneHash(): readonly [Uint8Array, Uint8Array] {
  const { memory } = new BootedGuest(idle, { ramBytes: 2 ** 16, options: { content: "zero" } });
  memory.store32(RECORD.KEY_WORDS, 2);
  const seen = new Map<number, Uint8Array>();
  for (let number = 0; ; number++) {
    const key = Buffer.from(String(number).padStart(8, "0"));
    memory.writeBytes(RECORD.KEY, key);
    const hash = keyHash(memory, 0);
    const other = seen.get(hash);
    if (other !== undefined) return [other, key];
    seen.set(hash, key);
  }
}

test("kv finds a page that came with older contents", () => {
  const guest = new BootedGuest(kv, { options: { theta: "0" } });
  const before = guest.bytes.slice();
  guest.run(0, 20_000);
  const lastPage = Math.floor(guest.bytes.findLastIndex((byte) => byte !== 0) / PAGE_BYTES);
  const sound = guest.bytes.slice();
  const soundCpu = structuredClone(guest.cpus[0]!);
  for (let page = 0; page <= lastPage; page++) {
    const [from, to] = [page * PAGE_BYTES, (page + 1) * PAGE_BYTES];
    if (Buffer.compare(before.subarray(from, to), sound.subarray(from, to)) === 0) continue;
    guest.bytes.set(sound);
    guest.bytes.set(before.subarray(from, to), from);
    guest.cpus[0] = structuredClone(soundCpu);
    guest.run(0, 5000);
    assert.ok(guest.cpu.corrupt > 0, `page ${String(page)}`);
  }
});

test("kv goes on when all of its memory is lost, and counts every request corrupt", () => {
  for (const lost of [0x00, 0xff, 0x41]) {
    const guest = new BootedGuest(kv, { options: READ_ONLY });
    guest.bytes.fill(lost);
    guest.run(0, 1000);
    assert.equal(guest.cpu.corrupt, 1000);

    const headless = new BootedGuest(kv);
    headless.bytes.fill(lost, HEADER.BYTES);
    headless.run(0, 1000);
    assert.equal(headless.cpu.corrupt, 1000);
  }
});

test("kv changes exactly one field of one record with an update", () => {
  const guest = new BootedGuest(kv, { ramBytes: 2 ** 16 });
  const counters = guest.cpu;
  for (let updates = 0; updates < 50; updates = counters.updates) {
    const before = guest.bytes.slice();
    guest.run(0, 1);
    const changed = [...before.keys()].filter((at) => guest.bytes[at] !== before[at]);
    if (counters.updates === updates) {
      assert.deepEqual(changed, []);
      continue;
    }
    // The field's 100 bytes, and the 4 bytes of the checksum in the index.
    const inRecord = changed.filter((at) => at < guest.memory.loadU32(HEADER.DIRECTORY));
    assert.ok(inRecord.at(-1)! - inRecord[0]! < 100, inRecord.join());
    assert.ok(changed.length - inRecord.length <= 4);
  }
});

test("kv holds the text of the folder that it is given, and keys that say where it stood", () => {
  const data = library("poems", {
    "sea.txt": "first line\nsecond line\n\n\nnext paragraph\n",
    "deep/down.txt": "below\r\n\r\nagain",
  });
  const guest = new BootedGuest(kv, { options: { data, mix: "C" } });
  for (const text of [
    "sea.txt:1\0",
    "first line\nsecond line",
    "sea.txt:5",
    "next paragraph",
    "deep/down.txt:3",
  ]) {
    assert.ok(isIn(guest, text), text);
  }
  guest.run(0, 5000);
  assert.equal(guest.cpu.corrupt, 0);
});

test("kv repeats a text that is smaller than the memory, under keys of their own", () => {
  const data = library("short", { "one.txt": "just this" });
  const guest = new BootedGuest(kv, { options: { data } });
  assert.ok(guest.cpu.keys.count > 5000);
  assert.ok(isIn(guest, "one.txt:1#5000"));
  const used = guest.bytes.findLastIndex((byte) => byte !== 0) / guest.bytes.length;
  assert.ok(used > 0.5, String(used));
});

test("kv reads a folder in the order of its names and leaves binary files out", () => {
  const data = library("mixed", {
    "b.txt": "from b",
    "a/z.txt": "from a/z",
    "Z.txt": "from Z",
    "a/picture.png": Uint8Array.of(0x89, 0x50, 0, 0, 1),
    "empty.txt": "",
  });
  assert.deepEqual(firstRecords(data, 4), [
    ["Z.txt:1", "from Z"],
    ["a/z.txt:1", "from a/z"],
    ["b.txt:1", "from b"],
    ["Z.txt:1#2", "from Z"],
  ]);
});

test("kv reads a single file, too", () => {
  const data = join(library("single", { "only.md": "# Title\n\nBody" }), "only.md");
  assert.deepEqual(firstRecords(data, 2), [
    ["only.md:1", "# Title"],
    ["only.md:3", "Body"],
  ]);
});

test("kv cuts a long paragraph at the end of a line, and a long line where it must", () => {
  const line = "0123456789".repeat(60);
  const data = library("long", { "paragraph.txt": [line, line, line].join("\n") });
  assert.deepEqual(firstRecords(data, 3), [
    ["paragraph.txt:1", line],
    ["paragraph.txt:2", line],
    ["paragraph.txt:3", line],
  ]);
  const wide = "x".repeat(2500);
  const places = firstRecords(library("wide", { "wide.txt": `\n${wide}` }), 3);
  assert.deepEqual(
    places.map(([key, value]) => [key, value.length]),
    [
      ["wide.txt:2", 1024],
      ["wide.txt:2:1025", 1024],
      ["wide.txt:2:2049", 452],
    ],
  );
});

test("kv refuses a folder without text", () => {
  const data = library("binary", { "a.bin": Uint8Array.of(0, 1, 2) });
  assert.throws(() => new BootedGuest(kv, { options: { data } }), {
    name: "BadSetting",
    message: /^--set data: there is no text in /,
  });
});
