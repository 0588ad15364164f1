import assert from "node:assert/strict";
import { test } from "node:test";
import { Publisher } from "../../../src/dest/publisher.js";
import { AtomicPageBitmap, PageBitmap } from "../../../src/memory/bitmap.js";
import { EpochMember, openEpoch } from "../../../src/memory/epoch.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { ABSENT, FIRST_EPOCH } from "../../../src/memory/words.js";

const PAGE_COUNT = 16;
const MISSING = [2, 3, 9];

function arriving(vcpuCount: number, areHot = false) {
  const ram = GuestRam.allocate(PAGE_COUNT * 4096, vcpuCount);
  const missing = PageBitmap.empty(PAGE_COUNT);
  for (const page of MISSING) {
    missing.add(page);
    ram.stamps[page] = ABSENT;
  }
  const { bitmap: prepulled } = AtomicPageBitmap.create(PAGE_COUNT);
  const publisher = new Publisher(ram, missing, prepulled, areHot);
  const vcpus = Array.from({ length: vcpuCount }, (_, vcpu) => new EpochMember(ram.words, vcpu));
  for (const vcpu of vcpus) vcpu.rejoin();
  return { ram, publisher, vcpus };
}

test("an arrived page is published when every vCPU has passed a safepoint, and not before", async () => {
  const { ram, publisher, vcpus } = arriving(2);
  const [one, other] = vcpus;
  ram.arrived.claim(3);
  let isPublished = false;
  const published = publisher.finish().then(() => (isPublished = true));
  for (const vcpu of [undefined, one]) {
    vcpu?.acknowledge();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isPublished, false);
    assert.equal(ram.stamps[3], ABSENT);
  }
  other?.acknowledge();
  await published;
  assert.deepEqual(
    MISSING.map((page) => ram.stamps[page]),
    [ABSENT, FIRST_EPOCH, ABSENT],
  );
});

test("a vCPU that waits or is paused holds no page back", async () => {
  const { ram, publisher, vcpus } = arriving(2);
  for (const vcpu of vcpus) vcpu.quiesce();
  for (const page of MISSING) ram.arrived.claim(page);
  await publisher.finish();
  assert.deepEqual(
    MISSING.map((page) => ram.stamps[page]),
    [FIRST_EPOCH, FIRST_EPOCH, FIRST_EPOCH],
  );
});

test("a page that was written shortly before it came is as new as a write made now", async () => {
  const { ram, publisher, vcpus } = arriving(1, true);
  const earlier = openEpoch(ram.words);
  vcpus[0]?.quiesce();
  ram.arrived.claim(3);
  await publisher.finish();
  const later = openEpoch(ram.words);
  const stamp = ram.stamps[3]!;
  assert.ok(stamp > earlier && stamp < later, `${String(stamp)} is the stamp of another time`);
});

test("a stamp that a vCPU wrote after its page was published stays as it is", async () => {
  const { ram, publisher, vcpus } = arriving(1);
  vcpus[0]?.quiesce();
  ram.arrived.claim(2);
  await publisher.finish();
  ram.stamps[2] = 77;
  ram.arrived.claim(3);
  await publisher.finish();
  assert.deepEqual([ram.stamps[2], ram.stamps[3], ram.stamps[9]], [77, FIRST_EPOCH, ABSENT]);
});
