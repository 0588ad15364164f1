import { takeSeat } from "../platform/spare-threads.js";
import { nameThread } from "../platform/thread-name.js";
import { Channel } from "./channel.js";
import type { ChannelOpening, ChannelSeat } from "./channel-contract.js";
import { rehearsal, rehearseRequests } from "./rehearsal.js";

/** Entry of a channel's thread: see channel-contract.ts. */
rehearseRequests();
takeSeat((given, main) => {
  const seat = given as ChannelSeat;
  nameThread(seat.channel);
  const channel = new Channel(seat, (report) => {
    main.postMessage(report);
  });
  main.on("message", ({ fd }: ChannelOpening) => {
    channel.open(fd);
  });
}, rehearsal());
