import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { loadProgram } from "../../../src/guest/load-program.js";
import { BadSetting, type GuestOptions } from "../../../src/guest/program.js";
import { BUILTIN_PROGRAMS } from "../../../src/guest/programs/builtin.js";
import { MAX_VCPUS, PAGE_BYTES } from "../../../src/memory/geometry.js";
import { packCpu, unpackCpu } from "../../../src/protocol/codec.js";
import { inRepository } from "../../repository.js";
import { randomNumbers } from "../../random.js";
import { seed } from "../../seed.js";
import { BootedGuest } from "./booted-guest.js";

const MAX_CPU_BYTES = 64 * 1024;

const example = await loadProgram(inRepository("examples/game-of-life.js"));
const programs = [...BUILTIN_PROGRAMS, example.program];

for (const program of programs) {
  const { name } = program;
  // A seed of its own for each run; the example has no such option.
  const options: GuestOptions = "seed" in program.settings ? { seed: String(seed >>> 0) } : {};
  // Not a multiple of any step size, and enough for several of memtester's passes.
  const operations = name === "game-of-life" ? 1234 : 54_321;

  describe(name, () => {
    test(`${name} gives the same memory whatever the size of its steps`, () => {
      const [first, ...others] = [1, 7, 1000, operations].map((stepSize) => {
        const guest = new BootedGuest(program, { options });
        guest.run(0, operations, stepSize);
        return guest.identity();
      });
      for (const other of others) assert.equal(other, first);
    });

    test(`${name} gives the same memory however its vCPUs interleave`, () => {
      const vcpuCount = 5;
      const inTurn = new BootedGuest(program, { vcpuCount, options });
      for (let vcpu = 0; vcpu < vcpuCount; vcpu++) inTurn.run(vcpu, operations);

      const mixed = new BootedGuest(program, { vcpuCount, options });
      const random = randomNumbers(seed);
      const left = Array.from({ length: vcpuCount }, () => operations);
      while (left.some((count) => count > 0)) {
        const vcpu = random(vcpuCount);
        const count = Math.min(left[vcpu]!, 1 + random(3000));
        mixed.run(vcpu, count, 1 + random(500));
        left[vcpu]! -= count;
      }
      assert.equal(mixed.identity(), inTurn.identity());
    });

    test(`${name} writes with each vCPU only to memory of its own`, () => {
      const vcpuCount = 3;
      const guest = new BootedGuest(program, { vcpuCount, options });
      const writers = new Map<number, number>();
      for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
        const before = guest.bytes.slice();
        guest.run(vcpu, operations);
        for (let at = 0; at < before.length; at++) {
          if (guest.bytes[at] === before[at]) continue;
          assert.equal(writers.get(at) ?? vcpu, vcpu, `address ${String(at)}`);
          writers.set(at, vcpu);
        }
      }
    });

    test(`${name} goes on where it stood when its CPU state has travelled`, () => {
      const stayed = new BootedGuest(program, { options });
      const moved = new BootedGuest(program, { options });
      for (const guest of [stayed, moved]) guest.run(0, operations / 3);
      moved.cpus[0] = unpackCpu(packCpu(structuredClone(moved.cpu)));
      assert.deepEqual(moved.cpu, stayed.cpu);
      for (const guest of [stayed, moved]) guest.run(0, operations / 3);
      assert.equal(moved.identity(), stayed.identity());
    });

    test(`${name} does at least one and at most as many operations as asked for`, () => {
      const guest = new BootedGuest(program, { options });
      for (const asked of [1, 2, 3, 1000]) {
        const done = program.step(guest.memory, guest.cpus[0]!, asked);
        assert.ok(Number.isInteger(done) && done >= 1 && done <= asked, String(done));
      }
    });

    test(`${name} works in the smallest memory with the most vCPUs, in a small CPU state`, () => {
      const guest = new BootedGuest(program, { ramBytes: 2 ** 16, vcpuCount: MAX_VCPUS, options });
      assert.equal(guest.cpus.length, MAX_VCPUS);
      for (let vcpu = 0; vcpu < MAX_VCPUS; vcpu++) {
        guest.run(vcpu, 2000);
        assert.ok(packCpu(guest.cpus[vcpu]!).length < MAX_CPU_BYTES);
      }
    });
  });
}

for (const program of BUILTIN_PROGRAMS) {
  const { name } = program;

  test(`${name} refuses an option that it does not have, and names those that it has`, () => {
    const options = { colour: "red" };
    const refusal = (error: unknown) => {
      assert.ok(error instanceof BadSetting);
      assert.equal(error.setting, "colour");
      for (const known of Object.keys(program.settings)) assert.ok(error.detail.includes(known));
      return true;
    };
    assert.throws(() => new BootedGuest(program, { options }), refusal);
  });

  test(`${name} is another guest for another seed`, () => {
    const [one, two] = ["1", "2"].map((ownSeed) => {
      const guest = new BootedGuest(program, { options: { seed: ownSeed } });
      guest.run(0, 5000);
      return guest.identity();
    });
    assert.notEqual(one, two);
  });
}

const refused: readonly (readonly [string, GuestOptions, RegExp])[] = [
  ["idle", { fill: "110%" }, /^--set fill: "110%" is not a share of memory/],
  ["idle", { fill: "" }, /^--set fill: "" is not a share of memory/],
  ["idle", { content: "cheese" }, /^--set content: must be one of random, zero/],
  ["idle", { seed: "1.5" }, /^--set seed: must be a whole number/],
  ["memtester", { share: "-1" }, /^--set share: "-1" is not a share of memory/],
  [
    "random-writer",
    { "working-set": "2GiB" },
    /^--set working-set: "2GiB" is not a share of memory/,
  ],
  ["random-writer", { "working-set": "half" }, /^--set working-set: "half" is not a share/],
  ["sequential-writer", { "working-set": "101%" }, /^--set working-set: "101%" is not a share/],
  ["sequential-writer", { stride: "0" }, /^--set stride: "0" is not a value from 1 to 256/],
  ["hot-cold", { theta: "1" }, /^--set theta: "1" is not a value from 0 to 0.999/],
  ["hot-cold", { "write-ratio": "2" }, /^--set write-ratio: "2" is not a value from 0 to 1/],
  ["hot-cold", { scatter: "maybe" }, /^--set scatter: must be one of yes, no/],
  ["kv", { mix: "F" }, /^--set mix: must be one of A, B, C/],
  ["kv", { records: "many" }, /^--set records: "many" is not a value from/],
  ["kv", { records: "1000000" }, /^--set records: only \d+ records fit/],
  ["kv", { fill: "1k" }, /^--set fill: the memory it leaves is too small/],
  ["kv", { data: "/no/such/place" }, /^--set data: .*\/no\/such\/place/],
];

for (const [name, options, message] of refused) {
  test(`${name} refuses ${JSON.stringify(options)} and says why`, async () => {
    const { program } = await loadProgram(name);
    const boot = () => new BootedGuest(program, { options });
    assert.throws(boot, { name: "BadSetting", message });
  });
}

for (const name of ["random-writer", "sequential-writer", "hot-cold"]) {
  test(`${name} reads its rate as pages or as bytes of pages per second`, async () => {
    const { program } = await loadProgram(name);
    const pace = (rate: string) => program.operationsPerSecond?.({ rate });
    assert.equal(pace("max"), undefined);
    assert.equal(pace("500"), 500);
    assert.equal(pace("500pages/s"), 500);
    assert.equal(pace("4MiB/s"), 2 ** 22 / PAGE_BYTES);
    assert.throws(() => pace("quickly"), { name: "BadSetting", message: /^--set rate/ });
  });

  test(`${name} boots without two equal pages, so that none is zero or can be shared`, async () => {
    const { program } = await loadProgram(name);
    const { bytes } = new BootedGuest(program);
    const pages = new Set<string>();
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      pages.add(Buffer.from(bytes.subarray(at, at + PAGE_BYTES)).toString("latin1"));
    }
    assert.equal(pages.size, bytes.length / PAGE_BYTES);
    assert.ok(!pages.has("\0".repeat(PAGE_BYTES)));
  });
}
