import { takeSeat } from "../../../src/platform/spare-threads.js";

/** Heard by whoever waits for a spare to have rehearsed. */
const told = new BroadcastChannel("rehearsing-worker");
const TOLD_STEPS = 3;
let steps = 0;

function* rehearsal(): Generator<void> {
  for (;;) {
    steps += 1;
    if (steps === TOLD_STEPS) told.postMessage(steps);
    yield;
  }
}

takeSeat((_seat, main) => {
  told.close();
  const answer = () => {
    main.postMessage(steps);
  };
  answer();
  main.on("message", answer);
}, rehearsal());
