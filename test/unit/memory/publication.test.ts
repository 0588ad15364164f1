import assert from "node:assert/strict";
import { test } from "node:test";
import { monotonicClock } from "../../../src/clock.js";
import { openEpoch, whenEpochHolds } from "../../../src/memory/epoch.js";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { ABSENT, NEVER } from "../../../src/memory/words.js";
import { seed } from "../../seed.js";
import { Gate } from "./gate.js";
import { type PublicationSeat, type ReaderReport, STALE } from "./publication-contract.js";
import { reportOf, startThread } from "../../threads.js";

const VCPUS = 2;
const PAGES = 256;
/** How long pages arrive, round after round. */
const HARD_MS = 2000;

/** Publishes pages as they arrive, by a plain store to their stamp; resolves when all are published. */
async function publishAll({ words, vcpuCount, stamps, arrived }: GuestRam): Promise<void> {
  const missing = new Set(Array.from({ length: PAGES }, (_, page) => page));
  while (missing.size > 0) {
    const pages = [...missing].filter((page) => arrived.has(page));
    await whenEpochHolds(words, vcpuCount, openEpoch(words));
    for (const page of pages) {
      stamps[page] = NEVER;
      missing.delete(page);
    }
  }
}

test("a vCPU never reads stale bytes of a page: missing, arrived or published", async (t) => {
  const ram = GuestRam.allocate(PAGES * PAGE_BYTES, VCPUS);
  const gate = new Gate();
  const seatOf = (vcpu: number | null): PublicationSeat => ({
    ram: ram.handle,
    gate: gate.buffer,
    seed: seed + (vcpu ?? VCPUS),
    vcpu,
  });
  gate.turn();
  const filler = startThread(t, new URL("filler-worker.js", import.meta.url), seatOf(null));
  const readers = [0, 1].map((vcpu) =>
    startThread(t, new URL("reader-worker.js", import.meta.url), seatOf(vcpu)),
  );
  /** Resolves when all threads stand at the closed gate. */
  const still = () => Promise.all([reportOf(filler), ...readers.map(reportOf<ReaderReport>)]);

  const total = { waited: 0, found: 0, published: 0 };
  const endMs = monotonicClock.nowMs() + HARD_MS;
  await still();
  while (monotonicClock.nowMs() < endMs) {
    new Uint32Array(ram.buffer).fill(STALE);
    ram.stamps.fill(ABSENT);
    for (let page = 0; page < PAGES; page += 1) ram.arrived.take(page);
    gate.turn();
    await publishAll(ram);
    const everybody = still();
    gate.turn();
    const [, ...reports] = await everybody;
    for (const { waited, found, published, wrong } of reports) {
      assert.equal(wrong, null);
      total.waited += waited;
      total.found += found;
      total.published += published;
    }
  }
  t.diagnostic(`reads by the page's state: ${JSON.stringify(total)}`);
  // Else one of the three ways was not tried.
  assert.ok(total.waited > 0 && total.found > 0 && total.published > 0);
});
