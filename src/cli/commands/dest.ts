import { loadHost } from "../load-host.js";
import { HOST_OPTIONS, LISTEN_OPTION } from "../options.js";
import type { Command } from "./command.js";

export const dest: Command = {
  options: {
    ...LISTEN_OPTION,
    ...HOST_OPTIONS,
  },
  async run(args) {
    args.required(args.listenAddress("listen"), "--listen 127.0.0.1:7000");
    const { runHost } = await loadHost();
    return runHost(args);
  },
};
