import { ControlClient } from "../control-client.js";
import { follow } from "../follow.js";
import { JSON_OPTION, TOKEN_OPTION } from "../options.js";
import { openPresenter } from "../open-presenter.js";
import { readRoute, ROUTE_OPTIONS } from "../route.js";
import { readTransfer, TRANSFER_OPTIONS } from "../transfer.js";
import type { Command } from "./command.js";

export const migrate: Command = {
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
    const presenter = await openPresenter({ json: args.flag("json") });
    try {
      return await follow({ client, request, presenter, signals: process });
    } finally {
      presenter.close();
    }
  },
};
