import { rehearseKernel } from "../memory/kernel.js";
import { takeSeat } from "../platform/spare-threads.js";
import { Channel } from "./channel.js";
import type { ChannelCommand, ChannelSeat } from "./channel-contract.js";
import { rehearse } from "./rehearsal.js";

/** Entry of a channel's thread: see channel-contract.ts. */
rehearseKernel();
rehearse();
takeSeat((given, main) => {
  const seat = given as ChannelSeat;
  const channel = new Channel(seat, (report) => {
    main.postMessage(report);
  });
  main.on("message", (command: ChannelCommand) => {
    channel.obey(command);
  });
});
