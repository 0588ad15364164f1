import assert from "node:assert/strict";
import type { ErrorEvent } from "../../src/host/events.js";
import type { FailureCode } from "../../src/failure.js";
import { Daemon } from "../process/daemon.js";

/**
 * The one error event with which a destination answers `attack`. Fails when there is none, when there are
 * more, when it says nothing to a person, or when the host does not answer its status as before.
 */
export async function complaintAbout(
  host: Daemon,
  code: FailureCode,
  attack: () => Promise<unknown>,
): Promise<ErrorEvent> {
  const before = host.of("error").length;
  await attack();
  const complaint = await host.process.until(`an error event about ${code}`, () =>
    host.of("error").at(before),
  );
  assert.equal(complaint.code, code, complaint.text);
  assertClear(complaint.text);
  await host.status();
  assert.equal(host.of("error").length, before + 1, "one attack made more than one error");
  return complaint;
}

/** A sentence for a person: whole, in one line, and with no trace of how the program is made. */
export function assertClear(text: string): void {
  assert.match(text, /^.{25,}$/);
  assert.doesNotMatch(text, /NaN|\[object|^Error|\bat .*:\d+:\d+/);
}

/** Asserts that nothing is left of any attack: no guest, no migration, and a normal one succeeds. */
export async function assertUnharmed(host: Daemon): Promise<void> {
  const { guests, migrations } = await host.status();
  assert.deepEqual([guests, migrations], [[], []]);
  await using source = await Daemon.source("random-writer rate=10000/s", "--memory", "1MiB");
  const report = await source.move(host);
  assert.equal(report.outcome, "completed");
}
