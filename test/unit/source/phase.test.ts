import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Failure } from "../../../src/failure.js";
import { OUTCOMES } from "../../../src/protocol/report.js";
import {
  advance,
  type SourceEvent,
  type SourcePhase,
  stageOf,
  tell,
  wirePhase,
} from "../../../src/source/phase.js";
import "../../seed.js";

const failure: Failure = { code: "SESSION_UNKNOWN" };
const earlier: Failure = { code: "TOKEN_WRONG" };

const UNKNOWN = { answer: "unknown", problem: null } as const;
const SILENT = { answer: null, problem: "nobody listens there" } as const;

const EVENTS = {
  welcomed: { type: "welcomed" },
  passEnded: { type: "passEnded", again: false },
  passEndedAgain: { type: "passEnded", again: true },
  prepared: { type: "prepared" },
  paused: { type: "paused", sendRest: false },
  pausedWithRest: { type: "paused", sendRest: true },
  restSent: { type: "restSent" },
  kept: { type: "kept" },
  running: { type: "running" },
  complete: { type: "complete" },
  summarized: { type: "summarized" },
  cancel: { type: "cancel", by: "a person" },
  failed: { type: "failed", failure },
  crashed: { type: "crashed", failure },
  ownerRunning: { type: "asked", inquiry: { answer: "running" } },
  ownerRefused: { type: "asked", inquiry: { answer: "refused" } },
  ownerLost: { type: "asked", inquiry: { answer: "lost" } },
  ownerUnknown: { type: "asked", inquiry: { answer: null, doubt: UNKNOWN } },
  unanswered: { type: "asked", inquiry: { answer: null, doubt: SILENT } },
} as const satisfies Record<string, SourceEvent>;
type EventName = keyof typeof EVENTS;

const PHASES = {
  greeting: { name: "greeting" },
  copying: { name: "copying", passEnded: false, prepared: false },
  copyingPassed: { name: "copying", passEnded: true, prepared: false },
  copyingPrepared: { name: "copying", passEnded: false, prepared: true },
  pausing: { name: "pausing" },
  sendingRest: { name: "sendingRest" },
  keeping: { name: "keeping", outcome: "cancelled", cause: earlier },
  switchingOver: { name: "switchingOver", isWhole: false },
  switchingOverWhole: { name: "switchingOver", isWhole: true },
  inDoubt: { name: "inDoubt", cause: earlier, isWhole: false },
  inDoubtWhole: { name: "inDoubt", cause: earlier, isWhole: true },
  draining: { name: "draining", isWhole: false },
  drainingWhole: { name: "draining", isWhole: true },
  observing: { name: "observing" },
  ended: { name: "ended", outcome: "failed", cause: earlier, doubt: null },
} as const satisfies Record<string, SourcePhase>;
type PhaseName = keyof typeof PHASES;

/**
 * The whole machine, written down by hand: phase, event, then the phase that follows and what is done, in
 * order. Whatever does not stand here changes nothing.
 */
const TABLE: Record<PhaseName, Partial<Record<EventName, string>>> = {
  greeting: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    welcomed: "copying: copy",
    cancel: "ended cancelled CANCELLED: report close",
    failed: "ended failed SESSION_UNKNOWN: report close",
  },
  copying: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    passEnded: "copying:",
    passEndedAgain: "copying: copyAgain",
    prepared: "copying:",
    cancel: "ended cancelled CANCELLED: report close",
    failed: "ended failed SESSION_UNKNOWN: report close",
  },
  copyingPassed: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    passEnded: "copying:",
    passEndedAgain: "copying: copyAgain",
    prepared: "pausing: pause",
    cancel: "ended cancelled CANCELLED: report close",
    failed: "ended failed SESSION_UNKNOWN: report close",
  },
  copyingPrepared: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    passEnded: "pausing: pause",
    passEndedAgain: "copying: copyAgain",
    prepared: "copying:",
    cancel: "ended cancelled CANCELLED: report close",
    failed: "ended failed SESSION_UNKNOWN: report close",
  },
  pausing: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    paused: "switchingOver: sendSwitchover",
    pausedWithRest: "sendingRest: sendRest",
    cancel: "keeping cancelled CANCELLED: keepGuest",
    failed: "keeping failed SESSION_UNKNOWN: keepGuest",
  },
  // However long it takes, the guest is still ours.
  sendingRest: {
    crashed: "ended crashed SESSION_UNKNOWN: report close",
    restSent: "switchingOver whole: sendSwitchover",
    cancel: "keeping cancelled CANCELLED: keepGuest",
    failed: "keeping failed SESSION_UNKNOWN: keepGuest",
  },
  // Nobody hears of the end before the guest runs again.
  keeping: {
    kept: "ended cancelled TOKEN_WRONG: report close",
    crashed: "keeping crashed SESSION_UNKNOWN:",
  },
  // The point of no return: from here on only the destination's word gives the guest back.
  switchingOver: {
    running: "draining: push",
    failed: "inDoubt: close ask",
  },
  switchingOverWhole: {
    running: "draining whole: push",
    failed: "inDoubt whole: close ask",
  },
  inDoubt: {
    ownerRunning: "ended stranded TOKEN_WRONG: report close",
    ownerRefused: "keeping failed TOKEN_WRONG: keepGuest",
    ownerLost: "ended inDoubt TOKEN_WRONG lost: report close",
    ownerUnknown: "ended inDoubt TOKEN_WRONG unknown: report close",
    unanswered: "ended inDoubt TOKEN_WRONG nobody: report close",
  },
  // Nothing of the guest is kept here that is not there as well.
  inDoubtWhole: {
    ownerRunning: "ended completed: release report close",
    ownerRefused: "keeping failed TOKEN_WRONG: keepGuest",
    ownerLost: "ended inDoubt TOKEN_WRONG lost: report close",
    ownerUnknown: "ended inDoubt TOKEN_WRONG unknown: report close",
    unanswered: "ended inDoubt TOKEN_WRONG nobody: report close",
  },
  draining: {
    complete: "observing: release",
    failed: "ended stranded SESSION_UNKNOWN: report close",
  },
  drainingWhole: {
    complete: "observing: release",
    failed: "inDoubt whole: close ask",
  },
  observing: {
    summarized: "ended completed: report close",
    failed: "ended completed: report close",
  },
  ended: {},
};

/** A step as the table writes it. */
function step(phase: SourcePhase, event: SourceEvent): string {
  const [next, effects] = advance(phase, event);
  const end = "outcome" in next ? ` ${next.outcome}${next.cause ? ` ${next.cause.code}` : ""}` : "";
  const whole = "isWhole" in next && next.isWhole ? " whole" : "";
  const doubt = "doubt" in next && next.doubt ? ` ${next.doubt.answer ?? "nobody"}` : "";
  return [`${next.name}${whole}${end}${doubt}:`, ...effects.map(({ type }) => type)].join(" ");
}

for (const [phaseName, phase] of Object.entries(PHASES)) {
  test(`a source in phase ${phaseName} does what the table says, for every event`, () => {
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

test("a source remembers both halves of stage one, whichever ends first", () => {
  for (const order of [
    ["passEnded", "prepared"],
    ["prepared", "passEnded"],
  ] as const) {
    let phase: SourcePhase = PHASES.copying;
    for (const name of order) [phase] = advance(phase, EVENTS[name]);
    assert.equal(phase.name, "pausing");
  }
});

test("a source closes a broken switchover without a word, and tells why in every other failure", () => {
  const closings = (phase: SourcePhase) =>
    advance(phase, EVENTS.failed)[1].flatMap((it) => (it.type === "close" ? [it.cause] : []));
  // What it said might reach a destination that runs the guest by now.
  assert.deepEqual(closings(PHASES.switchingOver), [null]);
  for (const name of ["greeting", "copying", "draining"] as const) {
    assert.deepEqual(closings(PHASES[name]), [failure], name);
  }
  const [, effects] = advance(PHASES.keeping, EVENTS.kept);
  assert.deepEqual(effects.at(-1), { type: "close", cause: earlier });
});

/** What a migration does, in order. */
const STEPS: readonly string[] = ["copy", "pause", "sendSwitchover", "push", "release"];

test("after the point of no return only a refusal gives the guest back, whatever happens", () => {
  // Else nearly every migration ends before its handover.
  const { cancel, failed, crashed, ...forward } = EVENTS;
  const event = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...Object.values(forward)) },
    { weight: 1, arbitrary: fc.constantFrom(cancel, failed, crashed) },
  );
  const events = fc.array(event, { maxLength: 120, size: "max" });
  fc.assert(
    fc.property(events, (all: readonly SourceEvent[]) => {
      let phase: SourcePhase = { name: "greeting" };
      let handedOver = false;
      const done: string[] = [];
      for (const event of all) {
        const [next, effects] = advance(phase, event);
        for (const { type } of effects) {
          done.push(type);
          if (type === "sendSwitchover") handedOver = true;
          if (type !== "keepGuest" || !handedOver) continue;
          assert.deepEqual(event, EVENTS.ownerRefused);
          assert.equal(phase.name, "inDoubt");
        }
        if (phase.name === "ended") assert.equal(next, phase);
        phase = next;
      }
      const count = (type: string) => done.filter((it) => it === type).length;
      assert.ok(count("keepGuest") + count("release") <= 1, "a guest has one fate");
      assert.equal(count("report"), phase.name === "ended" ? 1 : 0);
      // It was told to stop before it was handed over, and copied before it was told to stop.
      const came = done.filter((it) => STEPS.includes(it));
      const isUnpushed = came.includes("release") && !came.includes("push");
      const steps = STEPS.filter((it) => !(isUnpushed && it === "push"));
      assert.deepEqual(came, steps.slice(0, came.length));
      if (isUnpushed)
        assert.ok(done.includes("sendRest"), "a guest that may lack pages was let go");
    }),
    { numRuns: 1000 },
  );
});

test("every phase of a source has a place on the wire, a stage and a sentence", () => {
  const places = Object.values(PHASES).map((phase) => [
    ...[phase.name, wirePhase(phase), stageOf(phase)],
  ]);
  assert.deepEqual(places, [
    ["greeting", "greeting", null],
    ["copying", "copying", 1],
    ["copying", "copying", 1],
    ["copying", "copying", 1],
    ["pausing", "copying", 2],
    ["sendingRest", "copying", 2],
    ["keeping", "copying", null],
    ["switchingOver", "switchover", 2],
    ["switchingOver", "switchover", 2],
    ["inDoubt", "switchover", null],
    ["inDoubt", "switchover", null],
    ["draining", "draining", 3],
    ["draining", "draining", 3],
    ["observing", "observing", null],
    ["ended", "observing", null],
  ]);
  const ends = OUTCOMES.map((outcome): SourcePhase => {
    return { name: "ended", outcome, cause: failure, doubt: null };
  });
  const sentences = [...Object.values(PHASES), ...ends].map(tell);
  assert.ok(sentences.every((text) => text.length > 10));
  assert.equal(new Set(ends.map(tell)).size, OUTCOMES.length);
});

test("a person is told what the destination said of a guest in doubt, or why it said nothing", () => {
  const told = [{ answer: "lost", problem: null } as const, UNKNOWN, SILENT].map((doubt) =>
    tell({ name: "ended", outcome: "inDoubt", cause: failure, doubt }),
  );
  assert.match(told[0]!, /ran on the destination, and is there no longer/);
  assert.match(told[1]!, /never was ready for the guest/);
  assert.match(told[2]!, /nobody could say .* \(nobody listens there\)/);
  for (const text of told) assert.match(text, /tristage resume --in-doubt lets it go on/);
});
