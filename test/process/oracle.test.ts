import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { MigrateRequest } from "../../src/host/service.js";
import { ALGORITHM_NAMES, type AlgorithmName, type Report } from "../../src/protocol/report.js";
import { inRepository } from "../repository.js";
import { Daemon } from "./daemon.js";
import { Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

/** Slow enough that the guest gets to write while it moves, fast enough for a test. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };
const MEMORY = ["--memory", "4MiB"];

/** Guests, and on how many vCPUs: a journey takes its time, so both only where it matters most. */
type Cases = readonly (readonly [guest: string, ...vcpus: number[]])[];

/** A few that work steadily: what they have done is soon done again, to compare. */
const PACED: Cases = [
  ["idle", 1],
  ["random-writer rate=100000/s", 2],
  // Most pages are written once or not at all while they move, so a single lost write shows.
  ["random-writer rate=3000/s working-set=100%", 1],
  ["sequential-writer rate=100000/s", 2],
  ["hot-cold rate=60000/s write-ratio=0.5", 2],
  ["memtester share=50% fill=100% rate=20000pages/s", 2],
  ["kv mix=A rate=20000ops/s", 2],
  [`kv mix=B rate=20000ops/s data=${inRepository("src/protocol")}`, 1],
  ["kv mix=C rate=20000ops/s", 2],
];

/** And a few that run as fast as they can: so much that to run them again takes a while. */
const UNBOUND: Cases = [
  ["memtester share=25%", 2],
  ["hot-cold", 1],
  ["kv", 1],
  ["sequential-writer working-set=100%", 2],
];

/** What guests go to: A is where one is born, and ends with it. */
let b: Daemon;
let c: Daemon;
before(async () => {
  [b, c] = await Promise.all([Daemon.dest(), Daemon.dest()]);
});
after(async () => {
  await Promise.all([b, c].map((host) => host[Symbol.asyncDispose]()));
});

/** A guest's name without the path of this machine. */
function nameOf(guest: string): string {
  return guest.replace(/data=.*/, "data=a folder");
}

function birth(guest: string, vcpus: number): Promise<Daemon> {
  const words = [...MEMORY, "--vcpus", String(vcpus), "--listen", "127.0.0.1:0"];
  return Daemon.source(guest, ...words);
}

/** The most that a page may go by these, however fast the guest writes; by the others, as often as it is dirty. */
const MOST_SENDS: Partial<Record<AlgorithmName, number>> = {
  "three-stage": 2,
  "post-copy": 1,
  "stop-and-copy": 1,
};

function assertKept(report: Report, algorithm: AlgorithmName): void {
  assert.equal(report.outcome, "completed", report.failure?.text);
  assert.equal(report.algorithm, algorithm === "auto" ? report.choice?.algorithm : algorithm);
  assert.equal(report.verified.mismatches, 0);
  const most = report.pages.mostSendsOfOnePage;
  assert.ok(most <= (MOST_SENDS[algorithm] ?? Infinity), `a page went ${String(most)} times`);
}

type Leg = readonly [from: Daemon, to: Daemon, algorithm: AlgorithmName];

/** From its birth on A until it is home again, by each of the four. */
function roundTrip(a: Daemon): readonly Leg[] {
  return [
    [a, b, "three-stage"],
    [b, c, "post-copy"],
    [c, b, "pre-copy"],
    [b, a, "stop-and-copy"],
  ];
}

/**
 * Moves the guest leg by leg until it is home again, and compares it after each with one that never moved. Where it
 * stands it stands `still`, or works on meanwhile.
 */
async function journey(
  a: Daemon,
  legs: readonly Leg[],
  { still, ...request }: Omit<MigrateRequest, "to"> & { readonly still: boolean },
): Promise<readonly Report[]> {
  const reports: Report[] = [];
  let seen: readonly number[] = [];
  for (const [from, to, algorithm] of legs) {
    const migrationId = await from.migrate(to, { ...SLOW, ...request, algorithm });
    await to.phase("observing", migrationId);
    const report = await from.report(migrationId);
    assertKept(report, algorithm);
    reports.push(report);
    // Both hosts are done with the migration: it could not stand, or move on, before.
    await to.report(migrationId);
    if (still) await to.pause();
    const { operations } = await assertUnmoved(to, seen);
    seen = operations;
    if (still) await to.resume();
    // The next leg begins while it works.
    else await to.progress(100);
  }
  assert.equal((await a.guest()).generation, 1 + legs.length);
  await assertUnmoved(a, seen);
  return reports;
}

for (const [cases, still] of [
  [PACED, false],
  [UNBOUND, true],
] as const) {
  for (const [guest, ...counts] of cases) {
    for (const vcpus of counts) {
      const name = `${nameOf(guest)}${still ? " at full speed" : ""}`;
      const plural = vcpus === 1 ? "one vCPU" : "two vCPUs";
      test(`${name} on ${plural} is the guest that never moved, by each algorithm in turn`, async () => {
        await using a = await birth(guest, vcpus);
        await journey(a, roundTrip(a), { still });
      });
    }
  }
}

// What `auto` does is what one of two others does: for a guest that rests, one that pays to be caught, and one that cannot be.
for (const guest of ["idle", "kv mix=A rate=20000ops/s", "random-writer rate=100000/s"]) {
  test(`${guest} is the guest that never moved, by auto there and back`, async () => {
    await using a = await birth(guest, 2);
    await journey(
      a,
      [
        [a, b, "auto"],
        [b, a, "auto"],
      ],
      { still: false },
    );
  });
}

test("a guest with as many vCPUs as there may be, over several channels, is the one that never moved", async () => {
  await using a = await birth("hot-cold rate=60000/s write-ratio=0.5", 8);
  const reports = await journey(a, roundTrip(a), { still: false, channels: 4 });
  for (const { channels } of reports) assert.equal(channels, 4);
  assert.equal((await a.digest()).operations.length, 8);
});

test("a guest whose migration was cancelled is the guest that never tried, by every algorithm", async () => {
  await using a = await birth("kv rate=20000ops/s", 2);
  for (const algorithm of ALGORITHM_NAMES) {
    const { operations } = await a.digest();
    await using proxy = await Proxy.open(b.target);
    // Nothing that is sent from then on arrives, so the guest cannot be handed over before.
    proxy.judge = ({ name }) => {
      if (name === "PAGES") proxy.stall();
      return "pass";
    };
    const migrationId = await a.migrate(proxy.address, { ...SLOW, algorithm });
    await proxy.passage("PAGES");
    await a.cancel(migrationId);
    proxy.unstall();
    assert.equal((await a.report(migrationId)).outcome, "cancelled", algorithm);
    await a.progress(1000);
    await assertUnmoved(a, operations);
  }
});

/** What the link still carries, and then nothing: where algorithms differ, for each of them. */
const LAST = {
  "three-stage": ["welcome", "ATTACHED", "PAGES", "BARRIER", "switchover"],
  "pre-copy": ["PAGES", "switchover"],
  "post-copy": ["switchover"],
  "stop-and-copy": ["PAGES", "switchover"],
  auto: ["switchover"],
} as const;

for (const algorithm of ALGORITHM_NAMES) {
  test(`a guest whose migration failed is the guest that never tried, wherever the link broke, by ${algorithm}`, async () => {
    await using a = await birth("kv rate=20000ops/s", 2);
    for (const last of LAST[algorithm]) {
      const { operations } = await a.digest();
      await using proxy = await Proxy.open(b.target);
      proxy.judge = ({ name }) => (name === last ? "cut" : "pass");
      const report = await a.move(proxy.address, { ...SLOW, algorithm });
      assert.equal(report.outcome, "failed", `${last}: ${String(report.failure?.text)}`);
      await assertUnmoved(a, operations);
    }
  });
}
