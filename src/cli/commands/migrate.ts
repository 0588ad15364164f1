import { formatAddress } from "../../transport/address.js";
import { ControlClient } from "../control-client.js";
import { follow } from "../follow.js";
import { JSON_OPTION, TOKEN_OPTION, valued } from "../options.js";
import { openOutput } from "../output.js";
import { readTransfer, TRANSFER_OPTIONS } from "../transfer.js";
import type { Command } from "./command.js";

export const migrate: Command = {
  summary: "Migrate a guest from one host to another",
  options: {
    from: valued("HOST:PORT for control of the host that has the guest (required)"),
    to: valued("HOST:PORT where the destination listens (required)"),
    guest: valued("Id of the guest, if the host has several"),
    ...TRANSFER_OPTIONS,
    ...TOKEN_OPTION,
    ...JSON_OPTION,
  },

  async run(args) {
    const from = args.required(args.peerAddress("from"), "--from HOST:PORT");
    const request = {
      to: formatAddress(args.required(args.peerAddress("to"), "--to HOST:PORT")),
      guestId: args.text("guest"),
      ...readTransfer(args),
    };
    const client = new ControlClient(from, args.token("token-file"));
    const { presenter } = await openOutput(args);
    try {
      return await follow({ client, request, presenter, signals: process });
    } finally {
      presenter.close();
    }
  },
};
