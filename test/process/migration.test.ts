import assert from "node:assert/strict";
import { appendFileSync, existsSync, unlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { decodeMessage } from "../../src/protocol/codec.js";
import type { MessageBody } from "../../src/protocol/messages.js";
import { noLocks } from "../locks.js";
import { inRepository } from "../repository.js";
import { Daemon, freshFile, freshFolder, Tristage } from "./daemon.js";
import { guestModule } from "./modules.js";
import { memoryOf, noThreadsWhile, preload } from "./preload.js";
import { Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

const MEMORY = ["--memory", "8MiB"];
const LISTEN = ["--listen", "127.0.0.1:0"];
/** Stage one takes about half a second. */
const SLOW = { maxBandwidth: 16 * 2 ** 20 };

/** A guest that throws in its next step once the file exists that `path` names. */
function mortal(path: string): string {
  return guestModule(`
    boot: (memory, options, vcpuCount) => Array.from({ length: vcpuCount }, () => ({ done: 0 })),
    step(memory, cpu, operations) {
      if (process.getBuiltinModule("node:fs").existsSync(${JSON.stringify(path)})) {
        throw new Error("told to die");
      }
      for (let left = operations; left > 0; left -= 1) {
        memory.store32((cpu.done % (memory.byteLength / 4096)) * 4096, cpu.done);
        cpu.done += 1;
      }
      return operations;
    },
    operationsPerSecond: () => 20000`);
}

test("the report's numbers add up, and both hosts give the same report", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("hot-cold rate=100000/s", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  proxy.shape({ delayMs: 2 });
  await source.progress(10_000);
  const migrationId = await source.migrate(proxy.address, SLOW);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "completed");
  assert.equal(report.failure, null);
  // Each tells it at its own time.
  const there = await dest.report(migrationId);
  assert.deepEqual({ ...there, at: null }, { ...report, at: null });

  const { pages, bytes, times, downtimeParts, faults, guestOps, verified } = report;
  assert.equal(pages.total, 2048);
  assert.equal(pages.transferred, pages.stageOne + pages.stageThree);
  assert.equal(pages.stageThree, pages.pulled + pages.prepulled + pages.pushed);
  // This guest has no zero page, so each dirty page came with its contents, as a delta, or was found unchanged.
  assert.equal(pages.zero, 0);
  assert.equal(pages.stageThree + pages.delta + pages.unchanged, pages.dirty);
  assert.ok(pages.delta > 0, "it writes a word here and there");
  assert.ok(pages.dirty > 0 && pages.dirty < pages.total);
  assert.equal(pages.stageOne + pages.deferred, pages.total);
  assert.ok(pages.deferred <= pages.dirty);
  assert.equal(pages.mostSendsOfOnePage, 2);

  assert.equal(bytes.wire, bytes.bulk + bytes.urgent + bytes.control);
  const bulkPages = (pages.transferred - pages.pulled) * report.pageBytes;
  // A delta has one to twelve blocks of 256 bytes, and may go by either way.
  assert.ok(bytes.delta >= pages.delta * 256 && bytes.delta <= pages.delta * 12 * 256);
  const mostBulk = (bulkPages + bytes.delta) * 1.02;
  assert.ok(bytes.bulk >= bulkPages && bytes.bulk < mostBulk, JSON.stringify(report));
  assert.ok(bytes.urgent >= pages.pulled * report.pageBytes);
  assert.ok(bytes.control > 0);
  assert.equal(verified.pages, pages.transferred + pages.delta + pages.unchanged);
  assert.equal(verified.mismatches, 0);

  const { preparationMs, downtimeMs, resumeMs, totalMs } = times;
  assert.ok(preparationMs !== null && downtimeMs !== null && resumeMs !== null);
  for (const ms of [preparationMs, downtimeMs, resumeMs]) assert.ok(ms > 0, JSON.stringify(times));
  assertClose(preparationMs + downtimeMs + resumeMs, totalMs);
  assert.ok(downtimeParts !== null);
  const { pauseMs, copyMs, collectMs, transferMs, startMs } = downtimeParts;
  assert.equal(copyMs, 0, "three-stage sends no page while the guest stands still");
  assertClose(pauseMs + collectMs + transferMs + startMs, downtimeMs);

  assert.ok(faults?.latencyUs != null);
  assert.ok(faults.count > 0, "a guest that reads all its memory over a slow link met no fault");
  assert.ok(faults.networkFaultPercent > 0 && faults.networkFaultPercent <= 100);
  assert.ok(faults.blocktimeMs > 0);
  const { p50, p90, p99, max } = faults.latencyUs;
  assert.ok(p50 > 0 && p50 <= p90 && p90 <= p99 && p99 <= max, JSON.stringify(faults.latencyUs));

  for (const rate of [guestOps.before, guestOps.during, guestOps.after]) assert.ok((rate ?? 0) > 0);
  assert.ok((guestOps.longestGapMs ?? 0) >= downtimeMs, JSON.stringify(guestOps));
  const starts = report.throughput.map(([atMs]) => atMs);
  assert.deepEqual(
    starts,
    [...starts].sort((a, b) => a - b),
  );
  assert.ok(starts[0]! < 0 && starts.at(-1)! > 0, "the chart shows only one side of the pause");
});

function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 0.01, `${String(actual)} is not ${String(expected)}`);
}

test("both hosts go through the stages in order, and progress never runs backwards", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=100000/s", ...MEMORY);
  const migrationId = await source.migrate(dest, SLOW);
  await source.report(migrationId);
  await dest.phase("ended", migrationId);
  assert.deepEqual(source.phases(migrationId), [
    ...["greeting", "copying", "pausing", "switchingOver", "draining", "observing", "ended"],
  ]);
  assert.deepEqual(dest.phases(migrationId), [
    ...["receiving", "ready", "resuming", "filling", "observing", "ended"],
  ]);
  for (const host of [source, dest]) {
    let last = { stage: 1, pagesDone: 0 };
    for (const { stage, pagesDone, pagesTotal } of host.of("progress")) {
      assert.ok(stage >= last.stage && pagesDone <= pagesTotal);
      if (stage === last.stage) assert.ok(pagesDone >= last.pagesDone);
      last = { stage, pagesDone };
    }
  }
  assert.deepEqual((await source.status()).migrations, []);
  assert.deepEqual((await dest.status()).migrations, []);
  assert.deepEqual((await source.status()).guests, []);
});

test("a guest travels over several channels at once", async () => {
  await using dest = await Daemon.dest();
  const words = ["--memory", "32MiB", "--migrate-to", dest.address, "--after", "0"];
  await using source = await Daemon.source("hot-cold rate=100000/s", ...words, "--channels", "3");
  const report = await source.event("report");
  assert.equal(report.outcome, "completed");
  assert.equal(report.channels, 3);
  assert.ok(report.pages.mostSendsOfOnePage <= 2);
  await assertUnmoved(dest);
});

test("with --once both hosts leave with 0 when the guest has moved", async () => {
  await using dest = await Daemon.dest("--once");
  const words = ["--migrate-to", dest.address, "--after", "0", "--once"];
  await using source = await Daemon.source("idle", ...MEMORY, ...words);
  assert.deepEqual(await source.process.ending(), { code: 0, signal: null });
  assert.deepEqual(await dest.process.ending(), { code: 0, signal: null });
  assert.equal(source.of("report")[0]?.outcome, "completed");
});

test("with --once a source leaves with 3 when nobody is there", async () => {
  const gone = await Daemon.dest();
  await gone.kill();
  const words = ["--migrate-to", gone.address, "--after", "0", "--once"];
  await using source = await Daemon.source("idle", ...MEMORY, ...words);
  assert.equal((await source.process.ending()).code, 3);
  assert.equal(source.of("report")[0]?.failure?.code, "CANNOT_CONNECT");
});

test("with --once a source leaves with 3 when the destination refuses the guest", async () => {
  await using dest = await Daemon.start(["dest", ...LISTEN], { token: "secret" });
  const words = ["--migrate-to", dest.address, "--after", "0", "--once"];
  await using source = await Daemon.source("idle", ...MEMORY, ...words);
  assert.equal((await source.process.ending()).code, 3);
  const [report] = source.of("report");
  assert.equal(report?.outcome, "failed");
  assert.match(report.failure?.text ?? "", /--token-file/);
  assert.equal((await dest.event("error")).code, "TOKEN_WRONG");
});

test("with --once a source leaves with 4 when it is in doubt, and says what that means", async () => {
  await using dest = await Daemon.dest();
  await using proxy = await Proxy.open(dest.target);
  proxy.judge = ({ name }) => {
    if (name !== "switchover") return "pass";
    proxy.refuses = true;
    return "cut";
  };
  const to = `127.0.0.1:${String(proxy.address.port)}`;
  const words = ["--migrate-to", to, "--after", "0", "--once", "--ask-for", "0.1"];
  await using source = await Daemon.source("idle", ...MEMORY, ...words);
  assert.equal((await source.process.ending()).code, 4);
  assert.equal(source.of("report")[0]?.outcome, "inDoubt");
  assert.match(source.process.stderr, /unless the destination had taken it over/);
});

test("a host that demands a token serves those who have it", async () => {
  await using dest = await Daemon.start(["dest", ...LISTEN], { token: "secret" });
  const words = ["source", "--guest", "idle", ...MEMORY];
  await using source = await Daemon.start(words, { token: "secret" });
  await source.event("guest", ({ state }) => state === "running");
  assert.equal((await source.move(dest)).outcome, "completed");
  await assertUnmoved(dest);
});

test("tristage migrate moves a guest and follows it to its report", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  const { control } = source.listening;
  const words = ["migrate", "--from", control, "--to", dest.address, "--json"];
  await using command = Tristage.run(...words);
  assert.equal((await command.ending()).code, 0);
  const last = JSON.parse(command.lines.at(-1) ?? "") as { event: string; outcome: string };
  assert.deepEqual([last.event, last.outcome], ["report", "completed"]);
  await using again = Tristage.run(...words);
  assert.equal((await again.ending()).code, 2, "there is no guest to migrate any more");
});

test("tristage status shows the hosts of this machine and their guests", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("idle", ...MEMORY);
  await using command = Tristage.run("status", "--json");
  assert.equal((await command.ending()).code, 0);
  const hosts = command.lines.map(
    (line) => JSON.parse(line) as { pid: number; guests: { guest: string }[] },
  );
  const of = (daemon: Daemon) => hosts.find(({ pid }) => pid === daemon.process.pid);
  assert.deepEqual(
    of(source)?.guests.map(({ guest }) => guest),
    ["idle"],
  );
  assert.deepEqual(of(dest)?.guests, []);
});

test("a host gives the memory of a guest that has left back to the machine", async (t) => {
  if (process.platform !== "linux") {
    t.skip("only Linux says how much memory a process has");
    return;
  }
  const guestBytes = 256 * 2 ** 20;
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("hot-cold", "--memory", "256MiB");
  const report = await source.report(await source.migrate(dest));
  assert.equal(report.outcome, "completed");
  await assert.rejects(source.guest(), /has no guest/);
  await source.memoryBelow(guestBytes);
});

test("tristage guests names every built-in guest", async () => {
  await using command = Tristage.run("guests");
  assert.equal((await command.ending()).code, 0);
  const names = command.lines.flatMap((line) => /^([\w-]+): /.exec(line)?.[1] ?? []);
  assert.deepEqual(names, [
    ...["idle", "memtester", "random-writer", "sequential-writer", "hot-cold", "kv"],
  ]);
});

test("a guest may be paused, looked at and resumed, but not migrated while it is paused", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=10000/s", ...MEMORY);
  await source.pause();
  const { operations } = await source.guest();
  await assert.rejects(source.migrate(dest), { code: "GUEST_BUSY" });
  const digest = await assertUnmoved(source);
  assert.deepEqual(digest.operations, [operations]);
  assert.equal((await source.guest()).operations, operations);
  await source.resume();
  await source.progress(1000);
  assert.equal((await source.move(dest)).outcome, "completed");
});

test("a guest that was paused as soon as it had arrived stays paused until it is resumed", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=10000/s", ...MEMORY);
  const migrationId = await source.migrate(dest);
  await dest.phase("observing", migrationId);
  await dest.pause();
  const { operations } = await dest.guest();
  await dest.phase("ended", migrationId);
  const guest = await dest.guest();
  assert.deepEqual([guest.state, guest.operations], ["paused", operations]);
  await dest.resume();
  await dest.progress(1000);
});

test("a guest that moves on as soon as it has arrived moves once", async () => {
  await using there = await Daemon.dest();
  await using here = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=10000/s", ...MEMORY);
  const first = await source.migrate(here);
  await here.phase("observing", first);
  const second = await here.migrate(there, { maxBandwidth: 4 * 2 ** 20 });
  await here.phase("ended", first);
  assert.equal((await here.guest()).state, "migrating");
  await assert.rejects(here.migrate(there), { code: "GUEST_BUSY" });
  assert.equal((await here.report(second)).outcome, "completed");
  await assertUnmoved(there);
});

test("a user's own module migrates like a built-in guest", async () => {
  await using dest = await Daemon.dest();
  const module = inRepository("examples/game-of-life.js");
  await using source = await Daemon.source(`${module} density=0.4`, "--memory", "4MiB");
  const migrationId = await source.migrate(dest);
  await dest.phase("observing", migrationId);
  await assertUnmoved(dest);
});

test("a module that differs on the destination is refused, and the guest runs on", async () => {
  const path = mortal(freshFolder());
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(path, ...MEMORY);
  appendFileSync(path, "// edited\n");
  const report = await source.move(dest);
  assert.equal(report.outcome, "failed");
  assert.match(report.failure?.text ?? "", /copy the same file to both hosts/);
  assert.equal((await dest.event("error")).code, "GUEST_MODULE_DIFFERS");
  await source.progress(1000);
  assert.deepEqual((await dest.status()).guests, []);
});

test("a guest that throws in boot is told apart from a bug of ours", async () => {
  const path = guestModule(`boot() { throw new Error("no luck"); }, step: () => 1`);
  await using source = Tristage.run("source", "--guest", path, ...MEMORY, "--json");
  assert.equal((await source.ending()).code, 1);
  const error = JSON.parse(source.lines.at(-1) ?? "") as { code: string; text: string };
  assert.equal(error.code, "GUEST_THREW");
  assert.match(error.text, /"module" threw in boot: Error: no luck/);
  assert.doesNotMatch(source.stderr, /this is a bug/);
});

test("a guest that throws in its first step is told apart from a bug of ours", async () => {
  const path = guestModule(`boot: () => [{}], step() { throw new Error("no luck"); }`);
  await using source = Tristage.run("source", "--guest", path, ...MEMORY, "--json");
  assert.equal((await source.ending()).code, 1);
  const error = JSON.parse(source.lines.at(-1) ?? "") as { code: string; text: string };
  assert.equal(error.code, "GUEST_THREW");
  assert.doesNotMatch(source.stderr, /this is a bug/);
});

test("a guest one of whose vCPUs throws in its first step says so, whichever comes first", async () => {
  const path = guestModule(`
    boot: () => [{ vcpu: 0 }, { vcpu: 1 }],
    step(memory, cpu, operations) {
      if (cpu.vcpu === 1) throw new Error("no luck");
      return operations;
    }`);
  await using source = Tristage.run("source", "--guest", path, ...MEMORY, "--vcpus", "2", "--json");
  await source.until("the reason", () =>
    source.lines.find((line) => line.includes(`"code":"GUEST_THREW"`)),
  );
  assert.doesNotMatch(source.stderr, /this is a bug/);
});

for (const [what, boot] of [
  ["is too large to be sent", '[{ large: "x".repeat(70000) }]'],
  ["is no tree", "{ const cpu = {}; cpu.self = cpu; return [cpu]; }"],
  ["has a number that is too large", "[{ large: 2n ** 70n }]"],
] as const) {
  test(`a guest whose CPU state ${what} stays, and its owner is told why`, async () => {
    const path = guestModule(`
      boot: () => ${boot},
      step: (memory, cpu, operations) => operations`);
    await using dest = await Daemon.dest();
    await using source = await Daemon.source(path, ...MEMORY);
    const report = await source.move(dest);
    assert.equal(report.outcome, "failed");
    assert.equal(report.failure?.code, "CPU_STATE_REFUSED", report.failure?.text);
    const phases = source.phases(report.migrationId);
    assert.deepEqual(phases.slice(-3), ["pausing", "keeping", "ended"]);
    await source.progress(1000);
  });
}

test("a guest that throws on the source does not take the host with it", async () => {
  const trigger = freshFolder();
  await using source = await Daemon.source(mortal(trigger), ...MEMORY, "--vcpus", "2");
  await using dest = await Daemon.dest();
  writeFileSync(trigger, "");
  const error = await source.event("error");
  assert.equal(error.code, "GUEST_THREW");
  assert.match(error.text, /told to die/);
  assert.equal((await source.guest()).state, "crashed");
  await assert.rejects(source.migrate(dest), { code: "GUEST_BUSY" });
});

test("a guest that throws in stage one ends its migration, not the hosts", async () => {
  const trigger = freshFolder();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(mortal(trigger), ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address, SLOW);
  await proxy.passage("PAGES");
  writeFileSync(trigger, "");
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "crashed");
  assert.equal(report.failure?.code, "GUEST_THREW");
  assert.match((await source.phase("ended", migrationId)).text, /runs nowhere/);
  assert.equal((await source.guest()).state, "crashed");
  await dest.event("error");
  assert.deepEqual((await dest.status()).guests, []);
});

test("a guest that throws on the destination does not take the host with it", async () => {
  const trigger = freshFolder();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(mortal(trigger), ...MEMORY);
  const migrationId = await source.migrate(dest);
  await dest.phase("observing", migrationId);
  writeFileSync(trigger, "");
  const error = await dest.event("error");
  assert.equal(error.code, "GUEST_THREW");
  assert.equal((await dest.guest()).state, "crashed");
  assert.equal((await source.report(migrationId)).outcome, "completed");
  await using other = await Daemon.source("idle", ...MEMORY);
  assert.equal((await other.move(dest)).outcome, "completed");
});

test("a guest that throws in its first step on the destination does not take the host with it", async () => {
  const trigger = freshFolder();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(mortal(trigger), ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  proxy.judge = ({ name }) => {
    if (name === "switchover" && !existsSync(trigger)) writeFileSync(trigger, "");
    return "pass";
  };
  const migrationId = await source.migrate(proxy.address);
  await dest.event("error", ({ code }) => code === "GUEST_THREW");
  assert.equal((await dest.guest()).state, "crashed");
  await source.report(migrationId);
});

test("a guest that throws in stage three still becomes whole, and the source lets go of it", async () => {
  const trigger = freshFolder();
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(mortal(trigger), ...MEMORY);
  const migrationId = await source.migrate(dest, SLOW);
  await dest.phase("filling", migrationId);
  writeFileSync(trigger, "");
  await dest.event("error", ({ code }) => code === "GUEST_THREW");
  assert.equal((await source.report(migrationId)).outcome, "completed");
  assert.equal((await dest.guest()).state, "crashed");
});

test("a migration that is cancelled in stage one leaves the guest as it was", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=100000/s", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address, SLOW);
  await proxy.passage("PAGES");
  await assert.rejects(source.cancel("another"), { status: 404, code: "MIGRATION_UNKNOWN" });
  await source.cancel(migrationId);
  const report = await source.report(migrationId);
  assert.equal(report.outcome, "cancelled");
  assert.equal((await dest.event("error")).code, "CANCELLED");
  assert.deepEqual((await dest.status()).guests, []);
  await source.progress(1000);
  await assertUnmoved(source);
  // The next try is another one: what the destination wrote down of the first does not stand in its way.
  assert.equal((await source.move(dest)).generation, report.generation + 1);
});

test("a guest whose first operation takes long is said to run before that has ended, and when it did is told later", async () => {
  const module = guestModule(`
    boot: () => [{}],
    step(memory) {
      memory.store32(0, 1);
      for (const end = Date.now() + 1500; Date.now() < end;);
      return 1;
    }`);
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(module, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  let running: MessageBody<"running"> | undefined;
  proxy.judge = ({ name, frame }) => {
    if (name !== "running") return "pass";
    running = decodeMessage(frame, "dest", "switchover").body as MessageBody<"running">;
    return "pass";
  };
  const migrationId = await source.migrate(proxy.address);
  const report = await source.report(migrationId);
  assert.equal(running?.firstOperationMs, null);
  assert.equal(report.outcome, "completed");
  assert.ok((report.downtimeParts?.startMs ?? 0) >= 1500, JSON.stringify(report.downtimeParts));
});

test("a migration past its switchover can no longer be cancelled", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source("random-writer rate=100000/s", ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const migrationId = await source.migrate(proxy.address);
  await proxy.passage("running");
  await assert.rejects(source.cancel(migrationId), { code: "GUEST_BUSY" });
  assert.equal((await source.report(migrationId)).outcome, "completed");
});

test("nonsense on the command line is refused with 2 and a sentence that says what to write", async () => {
  const nonsense = [
    ["source", "--guest", "idle", "--memory", "100KiB"],
    ["source", "--guest", "idle", "--memory", "8GiB"],
    ["source", "--guest", "nobody", ...MEMORY],
    ["source", "--guest", "idle", ...MEMORY, "--vcpus", "9"],
    ["source", "--guest", "idle", ...MEMORY, "--migrate-to", "nowhere"],
    ["source", "--guest", "idle", ...MEMORY, "--ask-for", "ages"],
    ["dest"],
    ["dest", "--listen", "0.0.0.0:0"],
  ];
  await Promise.all(
    nonsense.map(async (words) => {
      await using command = Tristage.run(...words, "--json");
      assert.equal((await command.ending()).code, 2, words.join(" "));
      const { event, text } = JSON.parse(command.lines.at(-1) ?? "") as Record<string, string>;
      assert.equal(event, "error");
      assert.ok((text ?? "").length > 20, text);
      assert.doesNotMatch(command.stderr, / at /, "a stack trace is not for a person");
    }),
  );
});

for (const [what, nodeOptions] of [
  ["has", memoryOf(2 ** 20)],
  [
    "gives",
    preload(
      `WebAssembly.Memory = class { constructor() { throw new RangeError("could not allocate memory"); } };`,
    ),
  ],
] as const) {
  test(`a source for whose guest the machine ${what} no memory says so`, async () => {
    const words = ["source", "--guest", "idle", ...MEMORY, "--json"];
    await using source = Tristage.runOn(nodeOptions, words);
    assert.equal((await source.ending()).code, 1);
    const error = JSON.parse(source.lines.at(-1) ?? "") as { code: string; text: string };
    assert.equal(error.code, "MEMORY_SHORT");
    assert.match(error.text, /needs 8(\.0)? MiB/);
    assert.doesNotMatch(source.stderr, /this is a bug/);
  });
}

// Threads for a guest with one vCPU and one channel wait already.
for (const [threads, guestWords, channels] of [
  ["channels", [], 4],
  ["vCPUs", ["--vcpus", "4"], 1],
] as const) {
  test(`a destination that can start no threads for ${threads} refuses the guest, and serves on`, async () => {
    const path = freshFolder();
    const nodeOptions = noThreadsWhile(path);
    await using dest = await Daemon.start(["dest", ...LISTEN], { nodeOptions });
    await using source = await Daemon.source("idle", ...MEMORY, ...guestWords);
    writeFileSync(path, "");
    const refused = await source.move(dest, { channels });
    assert.equal(refused.outcome, "failed");
    assert.match(refused.failure?.text ?? "", /starts no more threads/);
    assert.equal((await dest.event("error")).code, "THREADS_SHORT");
    unlinkSync(path);
    assert.equal((await source.move(dest, { channels })).outcome, "completed");
  });
}

test("a source that can start no threads keeps the guest, and may try again", async () => {
  const path = freshFolder();
  const words = ["source", "--guest", "idle", ...MEMORY];
  await using source = await Daemon.start(words, { nodeOptions: noThreadsWhile(path) });
  await source.event("guest", ({ state }) => state === "running");
  await using dest = await Daemon.dest();
  writeFileSync(path, "");
  await assert.rejects(source.migrate(dest, { channels: 4 }), { code: "THREADS_SHORT" });
  assert.equal((await source.guest()).state, "running");
  unlinkSync(path);
  assert.equal((await source.move(dest, { channels: 4 })).outcome, "completed");
});

test("a port that is in use is refused with a sentence that says so", async () => {
  await using first = await Daemon.dest();
  await using second = Tristage.run(
    ...["dest", "--listen", first.address, "--state-dir", freshFile("x", "").replace(/x$/, "")],
    "--json",
  );
  assert.equal((await second.ending()).code, 1);
  const error = JSON.parse(second.lines.at(-1) ?? "") as { code: string; text: string };
  assert.equal(error.code, "CANNOT_LISTEN");
  assert.match(error.text, /EADDRINUSE.*choose another address/);
});

test("hosts without koffi say that nothing guards their journals, and migrate like others", async () => {
  const nodeOptions = preload(`
    import Module from "node:module";
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === "koffi") throw new Error("it is not installed");
      return load(name, ...rest);
    };`);
  await using dest = await Daemon.start(["dest", ...LISTEN], { nodeOptions });
  const guest = ["source", "--guest", "hot-cold", ...MEMORY];
  await using source = await Daemon.start(guest, { nodeOptions });
  await source.event("guest", ({ state }) => state === "running");
  for (const { process: host } of [source, dest]) {
    const warns = () =>
      /nothing keeps another host .* install koffi/.test(host.stderr) || undefined;
    await host.until("warns", warns);
  }
  await source.progress(10_000);
  const report = await source.report(await source.migrate(dest));
  assert.equal(report.outcome, "completed");
  await assertUnmoved(dest);
});

test("where koffi is installed nothing is said of guarding", { skip: noLocks }, async () => {
  await using dest = await Daemon.dest();
  assert.doesNotMatch(dest.process.stderr, /nothing keeps another host/);
});
