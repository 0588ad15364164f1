import { takeSeat } from "../../../src/platform/spare-threads.js";

let steps = 0;

function* rehearsal(): Generator<void> {
  for (;;) {
    steps += 1;
    yield;
  }
}

takeSeat((_seat, main) => {
  const answer = () => {
    main.postMessage(steps);
  };
  answer();
  main.on("message", answer);
}, rehearsal());
