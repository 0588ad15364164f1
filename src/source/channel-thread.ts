import { parentPort, workerData } from "node:worker_threads";
import { MigrationError } from "../failure.js";
import { attach } from "../transport/attach.js";
import { Channel } from "./channel.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";

/** Entry of a channel's thread: see channel-contract.ts. */
const seat = workerData as ChannelSeat;
const main = parentPort!;

function report(message: ChannelReport): void {
  main.postMessage(message);
}

try {
  const { socket, decoder } = await attach(seat.to, seat);
  const channel = new Channel(seat, socket, decoder, report);
  main.on("message", (command: ChannelCommand) => {
    void channel.obey(command);
  });
  report({ type: "attached" });
} catch (error) {
  if (!(error instanceof MigrationError)) throw error;
  report({ type: "failed", failure: error.failure });
}
