import { takeSeat } from "../../../src/platform/spare-threads.js";

/** Heard by whoever waits for the rehearsal to have gone wrong. */
const told = new BroadcastChannel("failing-rehearsal-worker");
let steps = 0;

function* rehearsal(): Generator<void> {
  steps += 1;
  yield;
  told.postMessage(steps);
  throw new Error("a rehearsal went wrong");
}

/** Answers its seat with how far its rehearsal came. */
takeSeat((_seat, main) => {
  told.close();
  main.postMessage(steps);
}, rehearsal());
