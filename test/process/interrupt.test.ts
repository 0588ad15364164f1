import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestEvent, HostEvent } from "../../src/host/events.js";
import { formatAddress } from "../../src/transport/address.js";
import { Daemon, Tristage } from "./daemon.js";
import { Proxy } from "./proxy.js";
import { assertUnmoved } from "./same-guest.js";

const GUEST = "random-writer rate=10000/s";
const MEMORY = ["--memory", "8MiB"];
/** Stage one would take a minute and more: whatever the machine does meanwhile, Ctrl-C finds it under way. */
const CRAWL = ["--max-bandwidth", "128KiB/s"];

/** A source that migrates its guest through `proxy` as soon as the guest runs. */
function migrating(proxy: Proxy, ...words: readonly string[]): Promise<Daemon> {
  const to = ["--migrate-to", formatAddress(proxy.address), "--after", "0"];
  return Daemon.source(GUEST, ...MEMORY, ...to, ...CRAWL, ...words);
}

test("Ctrl-C in stage one with --once cancels, leaves with 3 and says that the guest ends", async () => {
  await using dest = await Daemon.dest();
  await using proxy = await Proxy.open(dest.target);
  await using source = await migrating(proxy, "--once");
  await proxy.passage("PAGES");
  assert.deepEqual(await source.kill("SIGINT"), { code: 3, signal: null });
  assert.deepEqual(
    source.of("report").map(({ outcome }) => outcome),
    ["cancelled"],
  );
  const { stderr } = source.process;
  assert.match(stderr, /cancelling the migration of guest random-writer \([^)]+\)/);
  assert.match(stderr, /guest random-writer \([^)]+\) ends with this process/);
  assert.doesNotMatch(stderr, /goes on running/);
  await dest.event("error");
  assert.deepEqual((await dest.status()).guests, []);
});

test("Ctrl-C in stage one without --once cancels, and the guest runs on as it was", async () => {
  await using dest = await Daemon.dest();
  await using proxy = await Proxy.open(dest.target);
  await using source = await migrating(proxy);
  await proxy.passage("PAGES");
  source.process.interrupt();
  const report = await source.event("report");
  assert.equal(report.outcome, "cancelled");
  await source.process.until(
    "what becomes of the guest",
    () =>
      /guest random-writer \([^)]+\) goes on running here/.exec(source.process.stderr) ?? undefined,
  );
  assert.doesNotMatch(source.process.stderr, /ends with this process/);
  await source.progress(1000);
  await assertUnmoved(source);
  assert.deepEqual((await dest.status()).guests, []);
  // Nothing is under way any more, so the next one closes the host.
  assert.deepEqual(await source.kill("SIGINT"), { code: 0, signal: null });
  assert.match(source.process.stderr, /guest random-writer \([^)]+\) ends with this process/);
});

test("tristage pause, resume and cancel do to the guest that they name what they say", async () => {
  await using dest = await Daemon.dest();
  await using proxy = await Proxy.open(dest.target);
  await using source = await Daemon.source(GUEST, ...MEMORY);
  const { guestId } = await source.guest();
  const named = ["--guest", guestId];
  assert.equal((await source.order("pause", ...named)).code, 0);
  assert.equal((await source.guest()).state, "paused");
  const idle = await source.order("cancel", ...named);
  assert.deepEqual([idle.code, /is not about to leave/.test(idle.said)], [1, true]);
  const unknown = await source.order("discard", "--guest", "nobody");
  assert.deepEqual([unknown.code, /no guest nobody is on this host/.test(unknown.said)], [1, true]);
  const resumed = await source.order("resume", ...named, "--json");
  assert.equal(resumed.code, 0);
  const event = JSON.parse(resumed.said) as GuestEvent;
  const guest = { guestId, guest: "random-writer", generation: 1 };
  assert.deepEqual(event, { event: "guest", state: "running", ...guest });
  await source.progress(1000);

  const migrationId = await source.migrate(proxy.address, { maxBandwidth: 128 * 1024 });
  await proxy.passage("PAGES");
  const busy = await source.order("discard");
  assert.deepEqual([busy.code, /is leaving/.test(busy.said)], [1, true]);
  const cancelled = await source.order("cancel");
  assert.equal(cancelled.code, 0);
  assert.match(cancelled.said, /^guest random-writer \(\w+\) stays; its migration is cancelled$/);
  assert.equal((await source.report(migrationId)).outcome, "cancelled");
  await source.progress(1000);
  await assertUnmoved(source);
});

test("a guest whose migration has not ended on the destination cannot be discarded there", async () => {
  await using dest = await Daemon.dest();
  await using proxy = await Proxy.open(dest.target);
  await using source = await Daemon.source(GUEST, ...MEMORY);
  // With the last word of the destination the link stalls: no report comes, so the migration is under way.
  proxy.judge = ({ name }) => {
    if (name === "complete") proxy.stall();
    return "pass";
  };
  const migrationId = await source.migrate(proxy.address);
  await dest.phase("observing", migrationId);
  await dest.pause();
  const early = await dest.order("discard");
  assert.deepEqual([early.code, /is still arriving/.test(early.said)], [1, true], early.said);
  proxy.unstall();
  await dest.phase("ended", migrationId);
  assert.equal((await dest.order("discard")).code, 0);
  assert.deepEqual((await dest.status()).guests, []);
});

test("Ctrl-C cancels what tristage migrate has started, and the guest runs on at the source", async () => {
  await using dest = await Daemon.dest();
  await using source = await Daemon.source(GUEST, ...MEMORY);
  await using proxy = await Proxy.open(dest.target);
  const hosts = ["--from", source.listening.control, "--to", formatAddress(proxy.address)];
  await using command = Tristage.run("migrate", ...hosts, ...CRAWL, "--json");
  await proxy.passage("PAGES");
  assert.deepEqual(await command.kill("SIGINT"), { code: 3, signal: null });
  const outcomes = command.lines
    .map((line) => JSON.parse(line) as HostEvent)
    .flatMap((event) => (event.event === "report" ? [event.outcome] : []));
  assert.deepEqual(outcomes, ["cancelled"]);
  assert.match(command.stderr, /the guest goes on running on the source/);
  await source.progress(1000);
  await assertUnmoved(source);
  assert.deepEqual((await dest.status()).guests, []);
});
