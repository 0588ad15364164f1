import { takeSeat } from "../../../src/platform/spare-threads.js";

takeSeat((seat, main) => {
  main.postMessage(seat);
  main.on("message", (message) => {
    main.postMessage(message);
  });
});
