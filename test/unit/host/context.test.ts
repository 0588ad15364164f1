import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { pino } from "pino";
import { monotonicClock } from "../../../src/clock.js";
import { HostContext } from "../../../src/host/context.js";
import type { PhaseEvent, PhaseName, Told } from "../../../src/host/events.js";
import { Journal } from "../../../src/host/journal.js";

/** A context, and the names of what its listeners were told, in order. */
function contextOf(t: TestContext): { context: HostContext; told: string[] } {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const directory = mkdtempSync(join(tmpdir(), "tristage-context-"));
  const journal = Journal.open(directory);
  t.after(() => {
    journal.close();
    rmSync(directory, { recursive: true });
  });
  const logger = pino({ level: "silent" });
  const context = new HostContext("host", monotonicClock, logger, journal, null);
  const told: string[] = [];
  context.watch((event) => {
    told.push(event.event === "phase" ? event.phase : event.event);
  });
  return { context, told };
}

function phase(name: PhaseName): PhaseEvent {
  const text = `the guest is ${name}`;
  const migration = { migrationId: "m", guestId: "g", guest: "idle" } as const;
  return { event: "phase", direction: "outgoing", phase: name, stage: 2, text, ...migration };
}

test("while a guest stands still nothing is told, and then all of it in order", (t) => {
  const { context, told } = contextOf(t);
  context.hush();
  context.emitPhase(phase("pausing"));
  context.emitError({ code: "CANCELLED", by: "a test" }, null);
  context.emitPhase(phase("switchingOver"));
  assert.deepEqual(told, []);
  assert.equal(context.migrations.get("m")?.phase.phase, "switchingOver", "whoever asks is told");
  context.speak();
  assert.deepEqual(told, ["pausing", "error", "switchingOver"]);
  context.emitPhase(phase("draining"));
  assert.deepEqual(told, ["pausing", "error", "switchingOver", "draining"]);
});

test("a guest that stands still for long is told of all the same", (t) => {
  const { context, told } = contextOf(t);
  context.hush();
  context.emitPhase(phase("sendingRest"));
  t.mock.timers.tick(40);
  // Another hush does not put it off.
  context.hush();
  assert.deepEqual(told, []);
  t.mock.timers.tick(10);
  assert.deepEqual(told, ["sendingRest"]);
  context.emitPhase(phase("inDoubt"));
  assert.deepEqual(told, ["sendingRest", "inDoubt"]);
});

test("the second stage is hushed, and no other", (t) => {
  const { context, told } = contextOf(t);
  for (const stage of [null, 1, 3] as const) {
    context.enter(2);
    context.emitPhase(phase("pausing"));
    assert.deepEqual(told, []);
    context.enter(stage);
    assert.deepEqual(told.splice(0), ["pausing"]);
  }
});

test("an event tells when it happened, however late it is told", (t) => {
  const { context } = contextOf(t);
  t.mock.timers.setTime(Date.parse("2026-11-26T16:17:24.250Z"));
  const events: Told[] = [];
  context.watch((event) => events.push(event));
  context.hush();
  context.emitPhase(phase("pausing"));
  t.mock.timers.setTime(Date.parse("2026-11-26T16:17:24.280Z"));
  context.speak();
  assert.deepEqual(events, [{ ...phase("pausing"), at: "2026-11-26T16:17:24.250Z" }]);
});
