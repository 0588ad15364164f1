import { MigrationError } from "../failure.js";
import { takeSeat } from "../platform/spare-threads.js";
import { nameThread } from "../platform/thread-name.js";
import { attach } from "../transport/attach.js";
import { Channel } from "./channel.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";
import { rehearseRequests } from "./rehearsal.js";

/** Entry of a channel's thread: see channel-contract.ts. */
rehearseRequests();
takeSeat((given, main) => {
  const seat = given as ChannelSeat;
  nameThread(seat.channel);
  let channel: Channel | undefined;

  function report(message: ChannelReport): void {
    main.postMessage(message);
  }

  async function connect(): Promise<void> {
    try {
      const attachment = await attach(seat.to, seat.channel, seat.greeting);
      if ("refusal" in attachment) {
        report({ type: "refused", frame: attachment.refusal });
        return;
      }
      channel = new Channel(seat, attachment.socket, attachment.decoder, report);
      report({ type: "attached" });
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      report({ type: "failed", failure: error.failure });
    }
  }

  main.on("message", (command: ChannelCommand) => {
    void (command.type === "connect" ? connect() : channel?.obey(command));
  });
});
