import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  advance,
  type DestEvent,
  type DestPhase,
  stageOf,
  tell,
  wirePhase,
} from "../../../src/dest/phase.js";
import type { Failure } from "../../../src/failure.js";
import "../../seed.js";

const failure: Failure = { code: "SESSION_UNKNOWN" };
const earlier: Failure = { code: "TOKEN_WRONG" };

const EVENTS = {
  prepare: { type: "prepare" },
  prepared: { type: "prepared" },
  switchover: { type: "switchover", generation: 7 },
  started: { type: "started" },
  whole: { type: "whole" },
  reported: { type: "reported" },
  failed: { type: "failed", failure },
} as const satisfies Record<DestEvent["type"], DestEvent>;
type EventName = keyof typeof EVENTS;

const PHASES = {
  receiving: { name: "receiving", preparing: false },
  receivingPreparing: { name: "receiving", preparing: true },
  ready: { name: "ready" },
  resuming: { name: "resuming", generation: 7 },
  filling: { name: "filling", generation: 7 },
  observing: { name: "observing", generation: 7 },
  stranded: { name: "stranded", generation: 7, cause: earlier },
  ended: { name: "ended", guestIsHere: true, cause: null },
} as const satisfies Record<string, DestPhase>;
type PhaseName = keyof typeof PHASES;

/**
 * The whole machine, written down by hand: phase, event, then the phase that follows and what is done, in
 * order. Whatever does not stand here changes nothing.
 */
const TABLE: Record<PhaseName, Partial<Record<EventName, string>>> = {
  receiving: {
    prepare: "receiving preparing: startVcpus",
    prepared: "ready: sayPrepared",
    failed: "ended gone SESSION_UNKNOWN: close free",
  },
  receivingPreparing: {
    prepared: "ready: sayPrepared",
    failed: "ended gone SESSION_UNKNOWN: close free",
  },
  ready: {
    // The point of no return.
    switchover: "resuming 7: takeOver",
    failed: "ended gone SESSION_UNKNOWN: close free",
  },
  resuming: {
    started: "filling 7: sayRunning",
    failed: "stranded 7 SESSION_UNKNOWN: close",
  },
  filling: {
    whole: "observing 7: sayComplete",
    failed: "stranded 7 SESSION_UNKNOWN: close",
  },
  observing: {
    reported: "ended here: close",
    failed: "ended here: close",
  },
  stranded: { whole: "ended here: close" },
  ended: {},
};

/** A step as the table writes it. */
function step(phase: DestPhase, event: DestEvent): string {
  const [next, effects] = advance(phase, event);
  const words: string[] = [next.name];
  if ("preparing" in next && next.preparing) words.push("preparing");
  if ("generation" in next) words.push(String(next.generation));
  if ("guestIsHere" in next) words.push(next.guestIsHere ? "here" : "gone");
  if ("cause" in next && next.cause !== null) words.push(next.cause.code);
  return [`${words.join(" ")}:`, ...effects.map(({ type }) => type)].join(" ");
}

for (const [phaseName, phase] of Object.entries(PHASES)) {
  test(`a destination in phase ${phaseName} does what the table says, for every event`, () => {
    for (const [eventName, event] of Object.entries(EVENTS)) {
      const expected = TABLE[phaseName as PhaseName][eventName as EventName];
      if (expected !== undefined) {
        assert.equal(step(phase, event), expected, eventName);
      } else {
        const [next, effects] = advance(phase, event);
        assert.equal(next, phase, `${eventName} changed the phase`);
        assert.deepEqual(effects, [], eventName);
      }
    }
  });
}

test("a destination frees only what was never its own, and never what it took over", () => {
  const events = fc.array(fc.constantFrom(...Object.values(EVENTS)), { maxLength: 30 });
  fc.assert(
    fc.property(events, (all: readonly DestEvent[]) => {
      let phase: DestPhase = { name: "receiving", preparing: false };
      const done: string[] = [];
      for (const event of all) {
        const [next, effects] = advance(phase, event);
        done.push(...effects.map(({ type }) => type));
        if (phase.name === "ended") assert.equal(next, phase);
        phase = next;
      }
      const count = (type: string) => done.filter((it) => it === type).length;
      assert.ok(count("takeOver") + count("free") <= 1, "a guest has one fate");
      assert.ok(count("takeOver") <= 1);
      assert.ok(count("startVcpus") <= 1);
      if (phase.name === "ended") assert.equal(phase.guestIsHere, count("takeOver") === 1);
    }),
  );
});

test("every phase of a destination has a place on the wire, a stage and a sentence", () => {
  const places = Object.values(PHASES).map((phase) => [
    ...[phase.name, wirePhase(phase), stageOf(phase)],
  ]);
  assert.deepEqual(places, [
    ["receiving", "copying", 1],
    ["receiving", "copying", 1],
    // Stage one may still be under way when the vCPUs are ready.
    ["ready", "switchover", 1],
    ["resuming", "draining", 2],
    ["filling", "draining", 3],
    ["observing", "observing", null],
    ["stranded", "draining", null],
    ["ended", "observing", null],
  ]);
  const gone: DestPhase = { name: "ended", guestIsHere: false, cause: failure };
  assert.ok([...Object.values(PHASES), gone].every((phase) => tell(phase).length > 10));
});
