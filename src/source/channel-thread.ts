import { MigrationError } from "../failure.js";
import { takeSeat } from "../platform/spare-threads.js";
import { nameThread } from "../platform/thread-name.js";
import { attach, Refused } from "../transport/attach.js";
import { descriptorOf } from "../transport/descriptor.js";
import { Channel } from "./channel.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";
import { rehearsal, rehearseRequests } from "./rehearsal.js";

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
      const attached = await Promise.all(seat.connections.map((it) => attach(seat.to, it)));
      const [own, ...faultLines] = attached;
      channel = new Channel(seat, own!, faultLines, report);
      const descriptors = attached.flatMap(({ socket }) => descriptorOf(socket) ?? []);
      report({ type: "attached", descriptors });
    } catch (error) {
      if (error instanceof Refused) report({ type: "refused", frame: error.frame });
      else if (error instanceof MigrationError) report({ type: "failed", failure: error.failure });
      else throw error;
    }
  }

  main.on("message", (command: ChannelCommand) => {
    void (command.type === "connect" ? connect() : channel?.obey(command));
  });
}, rehearsal());
