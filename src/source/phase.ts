import { describe, type Failure } from "../failure.js";
import type { WirePhase } from "../protocol/messages.js";
import { type Doubt, describeDoubt, type Outcome } from "../protocol/report.js";
import type { Inquiry } from "./ask.js";

/**
 * Where an outgoing migration stands. The point of no return is the step into `switchingOver`: before it
 * this host owns the guest; from it on only the destination's word can give it back.
 */
export type SourcePhase =
  /** The destination has not answered yet. */
  | { readonly name: "greeting" }
  /** Stage one: the guest runs here while its memory is copied. */
  | { readonly name: "copying"; readonly passEnded: boolean; readonly prepared: boolean }
  /** The guest is being stopped; nothing was handed over yet. */
  | { readonly name: "pausing" }
  /** The guest stands still while the last of its pages are sent; nothing was handed over yet. */
  | { readonly name: "sendingRest" }
  /** The guest was stopped for nothing, and goes on here; then the migration ends. */
  | { readonly name: "keeping"; readonly outcome: Outcome; readonly cause: Failure }
  /** Stage two: handed over, not yet confirmed. `isWhole`, here and below: the destination had every page before. */
  | { readonly name: "switchingOver"; readonly isWhole: boolean }
  /** The destination was lost after the handover: nobody here knows who has the guest, so it stays paused. */
  | { readonly name: "inDoubt"; readonly cause: Failure; readonly isWhole: boolean }
  /** Stage three: the guest runs at the destination, which may lack pages if it is not whole. */
  | { readonly name: "draining"; readonly isWhole: boolean }
  /** The destination has everything; this host has released the guest. */
  | { readonly name: "observing" }
  | {
      readonly name: "ended";
      readonly outcome: Outcome;
      readonly cause: Failure | null;
      /** Null unless the outcome is `inDoubt`. */
      readonly doubt: Doubt | null;
    };

export type SourceEvent =
  | { readonly type: "welcomed" }
  /** Whether another pass is to follow while the guest runs: the policy's word. */
  | { readonly type: "passEnded"; readonly again: boolean }
  | { readonly type: "prepared" }
  /** Whether the rest is to be sent before the handover: the policy's word. */
  | { readonly type: "paused"; readonly sendRest: boolean }
  /** No page is dirty any more. */
  | { readonly type: "restSent" }
  /** What `keepGuest` did is done, or could not be done. */
  | { readonly type: "kept" }
  | { readonly type: "running" }
  | { readonly type: "complete" }
  | { readonly type: "summarized" }
  | { readonly type: "cancel"; readonly by: string }
  /** A connection broke, the peer gave up, a check or a thread failed. */
  | { readonly type: "failed"; readonly failure: Failure }
  /** The guest itself cannot run any more: it threw, or a vCPU's thread died. */
  | { readonly type: "crashed"; readonly failure: Failure }
  /** In doubt: what the destination's journal says of who owns the guest, or that nobody could say. */
  | { readonly type: "asked"; readonly inquiry: Inquiry };

export type SourceEffect =
  /** Open the channels, have the destination prepare, start the first pass. */
  | { readonly type: "copy" }
  /** Another pass, over the dirty pages. */
  | { readonly type: "copyAgain" }
  /** Journal the handover, then stop the guest. */
  | { readonly type: "pause" }
  /** Send the dirty pages while the guest stands still. */
  | { readonly type: "sendRest" }
  | { readonly type: "sendSwitchover" }
  /** Journal that the guest stays, and let it go on. */
  | { readonly type: "keepGuest" }
  | { readonly type: "push" }
  /** Free the guest; journal that it is gone. */
  | { readonly type: "release" }
  | { readonly type: "ask" }
  /** Close the connections, telling the destination why if there is a cause. */
  | { readonly type: "close"; readonly cause: Failure | null }
  | { readonly type: "report" };

type Step = readonly [SourcePhase, readonly SourceEffect[]];

/** One step of the machine. An event that means nothing in a phase changes nothing. */
export function advance(phase: SourcePhase, event: SourceEvent): Step {
  if (event.type === "failed") return fail(phase, event.failure);
  if (event.type === "crashed") return crash(phase, event.failure);
  if (event.type === "cancel") return cancel(phase, event.by);
  switch (phase.name) {
    case "greeting":
      if (event.type === "welcomed") {
        return [{ name: "copying", passEnded: false, prepared: false }, [{ type: "copy" }]];
      }
      break;
    case "copying":
      if (event.type === "passEnded") {
        if (event.again) return [phase, [{ type: "copyAgain" }]];
        return copied({ ...phase, passEnded: true });
      }
      if (event.type === "prepared") return copied({ ...phase, prepared: true });
      break;
    case "pausing":
      if (event.type !== "paused") break;
      if (event.sendRest) return [{ name: "sendingRest" }, [{ type: "sendRest" }]];
      return handOver(false);
    case "sendingRest":
      if (event.type === "restSent") return handOver(true);
      break;
    case "keeping":
      if (event.type === "kept") return end(phase.outcome, phase.cause);
      break;
    case "switchingOver":
      if (event.type === "running") {
        return [{ name: "draining", isWhole: phase.isWhole }, [{ type: "push" }]];
      }
      break;
    case "inDoubt":
      return resolveDoubt(phase, event);
    case "draining":
      if (event.type === "complete") return [{ name: "observing" }, [{ type: "release" }]];
      break;
    case "observing":
      if (event.type === "summarized") return end("completed", null);
      break;
    case "ended":
      break;
  }
  return [phase, []];
}

function copied(phase: SourcePhase & { name: "copying" }): Step {
  if (!phase.passEnded || !phase.prepared) return [phase, []];
  return [{ name: "pausing" }, [{ type: "pause" }]];
}

/** The point of no return. */
function handOver(isWhole: boolean): Step {
  return [{ name: "switchingOver", isWhole }, [{ type: "sendSwitchover" }]];
}

/** The failure table of the design (section 7), for the source. */
function fail(phase: SourcePhase, failure: Failure): Step {
  switch (phase.name) {
    case "greeting":
    case "copying":
      // The guest never stopped.
      return end("failed", failure);
    case "pausing":
    case "sendingRest":
      return keep("failed", failure);
    case "switchingOver":
      return ask(failure, phase.isWhole);
    case "keeping":
    case "inDoubt":
      return [phase, []];
    case "draining":
      // The destination owns the guest; what it lacks is kept here. Where it lacks nothing, only it can say that it has it still.
      return phase.isWhole ? ask(failure, true) : end("stranded", failure);
    case "observing":
      return end("completed", null);
    case "ended":
      return [phase, []];
  }
}

/** After the handover the guest here is only a copy, of which nothing but the memory is needed. */
function crash(phase: SourcePhase, cause: Failure): Step {
  switch (phase.name) {
    case "greeting":
    case "copying":
    case "pausing":
    case "sendingRest":
      return end("crashed", cause);
    case "keeping":
      return [{ name: "keeping", outcome: "crashed", cause }, []];
    case "switchingOver":
    case "inDoubt":
    case "draining":
    case "observing":
    case "ended":
      return [phase, []];
  }
}

function cancel(phase: SourcePhase, by: string): Step {
  const cause = { code: "CANCELLED", by } as const;
  switch (phase.name) {
    case "greeting":
    case "copying":
      return end("cancelled", cause);
    case "pausing":
    case "sendingRest":
      return keep("cancelled", cause);
    case "keeping":
      // It stays here anyway.
      return [phase, []];
    case "switchingOver":
    case "inDoubt":
    case "draining":
    case "observing":
    case "ended":
      // Too late: the guest is, or may be, the destination's.
      return [phase, []];
  }
}

function resolveDoubt(phase: SourcePhase & { name: "inDoubt" }, event: SourceEvent): Step {
  if (event.type !== "asked") return [phase, []];
  const { inquiry } = event;
  switch (inquiry.answer) {
    case "refused":
      return keep("failed", phase.cause);
    case "running":
      return phase.isWhole ? letGo() : end("stranded", phase.cause);
    case "lost":
      // Whether our older copy may run is for a person to say.
      return end("inDoubt", phase.cause, { answer: "lost", problem: null });
    case null:
      return end("inDoubt", phase.cause, inquiry.doubt);
  }
}

/** Without a word: what was said might reach a destination that runs the guest by now. */
function ask(cause: Failure, isWhole: boolean): Step {
  return [{ name: "inDoubt", cause, isWhole }, [{ type: "close", cause: null }, { type: "ask" }]];
}

/** The guest is whole on the destination, which will not come to tell more of it. */
function letGo(): Step {
  const [ended, effects] = end("completed", null);
  return [ended, [{ type: "release" }, ...effects]];
}

function keep(outcome: Outcome, cause: Failure): Step {
  return [{ name: "keeping", outcome, cause }, [{ type: "keepGuest" }]];
}

function end(outcome: Outcome, cause: Failure | null, doubt: Doubt | null = null): Step {
  return [{ name: "ended", outcome, cause, doubt }, [{ type: "report" }, { type: "close", cause }]];
}

/** Which messages may come: see messages.ts. */
export function wirePhase(phase: SourcePhase): WirePhase {
  switch (phase.name) {
    case "greeting":
      return "greeting";
    case "copying":
    case "pausing":
    case "sendingRest":
    case "keeping":
      return "copying";
    case "switchingOver":
    case "inDoubt":
      return "switchover";
    case "draining":
      return "draining";
    case "observing":
    case "ended":
      return "observing";
  }
}

/** 1, 2 or 3; null outside the three stages. */
export function stageOf(phase: SourcePhase): 1 | 2 | 3 | null {
  switch (phase.name) {
    case "copying":
      return 1;
    case "pausing":
    case "sendingRest":
    case "switchingOver":
      return 2;
    case "draining":
      return 3;
    case "greeting":
    case "keeping":
    case "inDoubt":
    case "observing":
    case "ended":
      return null;
  }
}

/** One sentence for people. */
export function tell(phase: SourcePhase): string {
  switch (phase.name) {
    case "greeting":
      return "connecting to the destination";
    case "copying":
      return "copying memory while the guest runs here";
    case "pausing":
      return "stopping the guest";
    case "sendingRest":
      return "the guest stands still while the last of its pages are sent";
    case "keeping":
      return "the guest stays, and goes on here";
    case "switchingOver":
      return "handing over CPU state and the bitmap of dirty pages";
    case "inDoubt":
      return `in doubt: the destination was lost after the handover, so the guest stays paused here until it says who has it (${describe(phase.cause)})`;
    case "draining":
      return "the guest runs on the destination; pushing its dirty pages";
    case "observing":
      return "every page has arrived; the guest was released here";
    case "ended":
      return tellEnd(phase);
  }
}

function tellEnd({ outcome, cause, doubt }: SourcePhase & { name: "ended" }): string {
  const why = cause === null ? "" : ` (${describe(cause)})`;
  switch (outcome) {
    case "completed":
      return "done: the guest runs on the destination";
    case "failed":
      return `the migration failed; the guest runs on here${why}`;
    case "crashed":
      return `the guest crashed before it could move, and runs nowhere; its memory is kept here${why}`;
    case "cancelled":
      return `cancelled; the guest runs on here${why}`;
    case "inDoubt":
      return `in doubt: ${describeDoubt(doubt)}${why}`;
    case "stranded":
      return `stranded: the guest runs on the destination, and the pages that it lacks are kept here${why}`;
  }
}
