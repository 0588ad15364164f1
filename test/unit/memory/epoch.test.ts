import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { EpochMember, epochHolds, openEpoch, whenEpochHolds } from "../../../src/memory/epoch.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { FIRST_EPOCH, GUEST_WORDS, QUIESCENT } from "../../../src/memory/words.js";

function createVcpus(vcpuCount: number) {
  const { words } = GuestRam.allocate(64 * 1024, vcpuCount);
  const vcpus = Array.from({ length: vcpuCount }, (_, vcpu) => new EpochMember(words, vcpu));
  return { words, vcpus, holds: (epoch: number) => epochHolds(words, vcpuCount, epoch) };
}

test("an epoch holds at once when no vCPU runs", () => {
  const { words, holds } = createVcpus(3);
  const epoch = openEpoch(words);
  assert.equal(epoch, FIRST_EPOCH + 1);
  assert.equal(holds(epoch), true);
});

test("an epoch holds only when every vCPU that runs has passed a safepoint", () => {
  const { words, vcpus, holds } = createVcpus(3);
  const [a, b] = vcpus;
  a!.rejoin();
  b!.rejoin();
  const epoch = openEpoch(words);
  assert.equal(holds(epoch), false);
  a!.acknowledge();
  assert.equal(holds(epoch), false);
  b!.acknowledge();
  assert.equal(holds(epoch), true);
  assert.equal(holds(openEpoch(words)), false);
});

test("a vCPU that touches no memory is not waited for, and learns of the epoch when it rejoins", () => {
  const { words, vcpus, holds } = createVcpus(1);
  const [vcpu] = vcpus;
  vcpu!.rejoin();
  assert.equal(vcpu!.current, FIRST_EPOCH);
  vcpu!.quiesce();
  const epoch = openEpoch(words);
  assert.equal(holds(epoch), true);
  vcpu!.rejoin();
  assert.equal(vcpu!.current, epoch);
  assert.equal(holds(epoch), true);
  assert.equal(holds(openEpoch(words)), false);
});

test("a vCPU keeps its epoch between safepoints", () => {
  const { words, vcpus } = createVcpus(1);
  const [vcpu] = vcpus;
  vcpu!.rejoin();
  const before = vcpu!.current;
  openEpoch(words);
  openEpoch(words);
  assert.equal(vcpu!.current, before);
  vcpu!.acknowledge();
  assert.equal(vcpu!.current, before + 2);
});

test("whenEpochHolds resolves when the last vCPU has passed its safepoint, and not before", async () => {
  const { words, vcpus } = createVcpus(2);
  for (const vcpu of vcpus) vcpu.rejoin();
  const epoch = openEpoch(words);
  let isHeld = false;
  const held = whenEpochHolds(words, 2, epoch).then(() => (isHeld = true));
  // A pending waitAsync does not keep the process alive; the guest's threads do that otherwise.
  const alive = setInterval(() => undefined, 1000);
  vcpus[1]!.acknowledge();
  await new Promise(setImmediate);
  assert.equal(isHeld, false);
  vcpus[0]!.quiesce();
  await held;
  clearInterval(alive);
});

/** Calls `before` ahead of each atomic load and store that `action` makes. */
function watchAccesses(t: TestContext, before: () => void, action: () => void): void {
  let isWatching = true;
  for (const name of ["load", "store"] as const) {
    const original = Atomics[name].bind(Atomics) as (...access: unknown[]) => number;
    t.mock.method(Atomics, name, (...access: unknown[]) => {
      if (isWatching) {
        isWatching = false;
        before();
        isWatching = true;
      }
      return original(...access);
    });
  }
  action();
  t.mock.restoreAll();
}

/**
 * A vCPU starts, passes safepoints, sleeps and wakes. Ahead of its access `openAt` another thread opens an
 * epoch, and ahead of access `askAt` it asks whether that holds.
 */
function live(t: TestContext, openAt: number, askAt: number) {
  const { words, vcpus, holds } = createVcpus(1);
  const vcpu = vcpus[0]!;
  let [accesses, epoch, isHeld] = [0, 0, false];
  const interrupt = () => {
    accesses += 1;
    if (accesses === openAt) epoch = openEpoch(words);
    if (accesses === askAt) isHeld = holds(epoch);
  };
  const write = () => {
    if (!isHeld || vcpu.current >= epoch) return;
    assert.fail(`a write in an older epoch: opened at ${String(openAt)}, held at ${String(askAt)}`);
  };
  watchAccesses(t, interrupt, () => {
    for (let times = 0; times < 2; times += 1) {
      vcpu.rejoin();
      write();
      vcpu.acknowledge();
      write();
      vcpu.acknowledge();
      write();
      vcpu.quiesce();
    }
  });
  return { accesses, isHeld };
}

test("an epoch that holds is the oldest of all later writes, wherever its opening fell", (t) => {
  const { accesses } = live(t, Infinity, Infinity);
  let held = 0;
  for (let openAt = 1; openAt <= accesses; openAt += 1) {
    for (let askAt = openAt; askAt <= accesses; askAt += 1) {
      if (live(t, openAt, askAt).isHeld) held += 1;
    }
  }
  // Else nothing was tried.
  assert.ok(accesses > 10 && held > accesses);
});

test("openEpoch refuses the number that means quiescent", () => {
  const { words } = createVcpus(1);
  Atomics.store(words, GUEST_WORDS.EPOCH, QUIESCENT - 2);
  assert.equal(openEpoch(words), QUIESCENT - 1);
  assert.throws(() => openEpoch(words), RangeError);
});
