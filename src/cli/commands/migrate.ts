import { ControlClient } from "../control-client.js";
import { follow } from "../follow.js";
import { JSON_OPTION, TOKEN_OPTION } from "../options.js";
import { openOutput } from "../output.js";
import { readRoute, ROUTE_OPTIONS } from "../route.js";
import { readTransfer, TRANSFER_OPTIONS } from "../transfer.js";
import type { Command } from "./command.js";

export const migrate: Command = {
  summary: "Migrate a guest from one host to another",
  options: {
    ...ROUTE_OPTIONS,
    ...TRANSFER_OPTIONS,
    ...TOKEN_OPTION,
    ...JSON_OPTION,
  },

  async run(args) {
    const { from, route } = readRoute(args);
    const request = { ...route, ...readTransfer(args) };
    const client = new ControlClient(from, args.token("token-file"));
    const { presenter } = await openOutput(args);
    try {
      return await follow({ client, request, presenter, signals: process });
    } finally {
      presenter.close();
    }
  },
};
