import assert from "node:assert/strict";
import { test } from "node:test";
import { memtester } from "../../../src/guest/programs/memtester.js";
import { PASSES } from "../../../src/guest/programs/memtester-passes.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { BootedGuest } from "./booted-guest.js";

/** One page, so two halves of 512 words. */
const HALF_WORDS = PAGE_BYTES / 8;

function onePage() {
  return new BootedGuest(memtester, { ramBytes: 2 ** 16, options: { share: "4KiB" } });
}

function operationsOfLoop(): number {
  const rounds = PASSES.reduce((sum, pass) => sum + pass.rounds, 0);
  return rounds * 2 * HALF_WORDS;
}

test("memtester makes every pass over sound memory without an error", () => {
  const guest = onePage();
  guest.run(0, operationsOfLoop() * 2);
  const { loops, pass, errors, firstError } = guest.cpu;
  assert.deepEqual(
    { loops, pass, errors, firstError },
    { loops: 2, pass: 0, errors: 0, firstError: null },
  );
});

for (const [index, { name }] of PASSES.entries()) {
  for (const half of ["first", "second"] as const) {
    test(`memtester finds a bit of the ${half} half flipped behind its back in pass ${name}`, () => {
      const guest = onePage();
      const cpu = guest.cpu;
      while (cpu.pass < index) guest.run(0, HALF_WORDS);
      while (!cpu.verifying) guest.run(0, 1);
      const address = 1236 + (half === "first" ? 0 : HALF_WORDS * 4);
      guest.bytes[address]! ^= 0x10;
      guest.run(0, HALF_WORDS);
      assert.equal(cpu.errors, 1);
      // Passes that compare the halves cannot tell which is wrong, and name the word in the first.
      assert.equal(cpu.firstError, name === "stuck address" ? address : 1236);
    });
  }
}

test("memtester finds a page that came with its contents of one round ago", () => {
  const guest = new BootedGuest(memtester);
  const cpu = guest.cpu;
  const runToVerify = (round: number) => {
    while (cpu.round < round || !cpu.verifying) guest.run(0, 1);
  };
  runToVerify(0);
  const stale = guest.bytes.slice(5 * PAGE_BYTES, 6 * PAGE_BYTES);
  runToVerify(1);
  guest.bytes.set(stale, 5 * PAGE_BYTES);
  guest.run(0, guest.bytes.length / 16);
  assert.equal(cpu.errors, PAGE_BYTES / 4);
  assert.equal(cpu.firstError, 5 * PAGE_BYTES);
});

test("memtester is paced by the pages that it writes or verifies", () => {
  const pace = (rate: string) => memtester.operationsPerSecond?.({ rate });
  assert.equal(pace("max"), undefined);
  assert.equal(pace("10pages/s"), 10 * (PAGE_BYTES / 8));
  assert.equal(pace("2MiB/s"), 2 ** 21 / 8);
});

test("memtester fills the memory that it is told to before it tests any", () => {
  const fresh = (fill: string) => new BootedGuest(memtester, { options: { fill } }).bytes;
  assert.ok(fresh("0%").every((byte) => byte === 0));
  const half = fresh("50%");
  assert.ok(half.subarray(half.length / 2).every((byte) => byte === 0));
  for (let at = 0; at < half.length / 2; at += PAGE_BYTES) {
    assert.ok(half.subarray(at, at + PAGE_BYTES).some((byte) => byte !== 0));
  }
});
