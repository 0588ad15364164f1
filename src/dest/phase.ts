import { describe, type Failure } from "../failure.js";
import type { WirePhase } from "../protocol/messages.js";

/**
 * Where an incoming migration stands. The point of no return is the step into `resuming`: before it the
 * source owns the guest, from it on this host does.
 */
export type DestPhase =
  /** Stage one: pages come in; the guest runs at the source. `preparing` once vCPU threads are being started. */
  | { readonly name: "receiving"; readonly preparing: boolean }
  /** vCPU threads are parked here; the guest may be handed over at any moment. */
  | { readonly name: "ready" }
  /** The switchover came; this host owns the guest, which has not run yet. */
  | { readonly name: "resuming"; readonly generation: number }
  /** Stage three: the guest runs here while pages arrive. */
  | { readonly name: "filling"; readonly generation: number }
  /** Every page is here; the guest is watched a little longer for the report. */
  | { readonly name: "observing"; readonly generation: number }
  /** The guest runs here, but the source is gone before every page had arrived. */
  | { readonly name: "stranded"; readonly generation: number; readonly cause: Failure }
  | { readonly name: "ended"; readonly guestIsHere: boolean; readonly cause: Failure | null };

export type DestEvent =
  | { readonly type: "prepare" }
  | { readonly type: "prepared" }
  | { readonly type: "switchover"; readonly generation: number }
  | { readonly type: "started" }
  | { readonly type: "whole" }
  | { readonly type: "reported" }
  /** The source cancelled, a connection broke, or a check failed. */
  | { readonly type: "failed"; readonly failure: Failure };

export type DestEffect =
  | { readonly type: "startVcpus" }
  | { readonly type: "sayPrepared" }
  /** Install the dirty set and start the guest. The ownership is journalled already. */
  | { readonly type: "takeOver" }
  | { readonly type: "sayRunning" }
  | { readonly type: "sayComplete" }
  /** Free the memory that was received. */
  | { readonly type: "free" }
  /** Tell the source why, if it still listens, and close the connections. */
  | { readonly type: "close"; readonly failure: Failure | null };

type Step = readonly [DestPhase, readonly DestEffect[]];

/** One step of the machine. An event that means nothing in a phase changes nothing. */
export function advance(phase: DestPhase, event: DestEvent): Step {
  if (event.type === "failed") return fail(phase, event.failure);
  switch (phase.name) {
    case "receiving":
      // Once: a second set of threads would take the place of the first, which nobody ended.
      if (event.type === "prepare" && !phase.preparing) {
        return [{ name: "receiving", preparing: true }, [{ type: "startVcpus" }]];
      }
      if (event.type === "prepared") return [{ name: "ready" }, [{ type: "sayPrepared" }]];
      break;
    case "ready":
      if (event.type === "switchover") {
        return [{ name: "resuming", generation: event.generation }, [{ type: "takeOver" }]];
      }
      break;
    case "resuming":
      if (event.type === "started") {
        return [{ name: "filling", generation: phase.generation }, [{ type: "sayRunning" }]];
      }
      break;
    case "filling":
      if (event.type === "whole") {
        return [{ name: "observing", generation: phase.generation }, [{ type: "sayComplete" }]];
      }
      break;
    case "observing":
      if (event.type === "reported") return end(true, null);
      break;
    case "stranded":
      // The last page was in before the connection broke, or no vCPU lacks one: nothing is missing.
      if (event.type === "whole") return end(true, null);
      break;
    case "ended":
      break;
  }
  return [phase, []];
}

/** The failure table of the design (section 7), for the destination. */
function fail(phase: DestPhase, failure: Failure): Step {
  const close = { type: "close", failure } as const;
  switch (phase.name) {
    case "receiving":
    case "ready":
      return [{ name: "ended", guestIsHere: false, cause: failure }, [close, { type: "free" }]];
    case "resuming":
    case "filling":
      // The guest runs on; only a vCPU that touches a missing page waits.
      return [{ name: "stranded", generation: phase.generation, cause: failure }, [close]];
    case "observing":
      return end(true, null);
    case "stranded":
    case "ended":
      return [phase, []];
  }
}

function end(guestIsHere: boolean, cause: Failure | null): Step {
  return [{ name: "ended", guestIsHere, cause }, [{ type: "close", failure: null }]];
}

/** Which messages may come: see messages.ts. */
export function wirePhase(phase: DestPhase): WirePhase {
  switch (phase.name) {
    case "receiving":
      return "copying";
    case "ready":
      return "switchover";
    case "resuming":
    case "filling":
    case "stranded":
      return "draining";
    case "observing":
    case "ended":
      return "observing";
  }
}

/** 1, 2 or 3; null outside the three stages. */
export function stageOf(phase: DestPhase): 1 | 2 | 3 | null {
  switch (phase.name) {
    case "receiving":
    case "ready":
      return 1;
    case "resuming":
      return 2;
    case "filling":
      return 3;
    case "observing":
    case "stranded":
    case "ended":
      return null;
  }
}

/** One sentence for people. */
export function tell(phase: DestPhase): string {
  switch (phase.name) {
    case "receiving":
      return "memory is coming in while the guest runs on the source";
    case "ready":
      return "vCPUs are parked here, ready for the switchover";
    case "resuming":
      return "the guest was handed over";
    case "filling":
      return "the guest runs here while its dirty pages arrive";
    case "observing":
      return "every page has arrived; the guest runs here alone";
    case "stranded":
      return `the guest runs here, but the source is gone and pages are missing: a vCPU that touches one waits (${describe(phase.cause)})`;
    case "ended":
      if (phase.guestIsHere) return "done: the guest runs here";
      return `the guest did not arrive: ${phase.cause === null ? "no cause" : describe(phase.cause)}`;
  }
}
