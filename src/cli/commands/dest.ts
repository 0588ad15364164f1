import { HOST_OPTIONS, LISTEN_OPTION } from "../options.js";
import { runHost } from "../run-host.js";
import type { Command } from "./command.js";

export const dest: Command = {
  summary: "Receive guests and run them",
  options: {
    ...LISTEN_OPTION,
    ...HOST_OPTIONS,
  },
  run(args) {
    args.required(args.listenAddress("listen"), "--listen 127.0.0.1:7000");
    return runHost(args);
  },
};
