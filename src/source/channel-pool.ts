import type { Worker } from "node:worker_threads";
import { type Failure, failureOf, MigrationError } from "../failure.js";
import { startThread } from "../platform/spare-threads.js";
import { decodeMessage } from "../protocol/codec.js";
import type { Frame } from "../protocol/frame.js";
import { peerFailure } from "../protocol/messages.js";
import type {
  ChannelCommand,
  ChannelReport,
  ChannelSeat,
  Fault,
  PassCommand,
} from "./channel-contract.js";

/** What a channel's thread runs. */
export const SOURCE_CHANNEL_ENTRY = new URL("channel-thread.js", import.meta.url);

export interface ChannelListener {
  faulted(fault: Fault): void;
  failed(failure: Failure): void;
}

/** Commands that a channel may have: one that it carries out, and one that it finds when that is done. */
export const COMMANDS_PER_CHANNEL = 2;

/** One channel's thread, as the main thread drives it. It answers commands in their order. */
class ChannelThread {
  private readonly worker: Worker;
  private readonly waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    seat: ChannelSeat,
    private readonly listener: ChannelListener,
  ) {
    this.worker = startThread(SOURCE_CHANNEL_ENTRY, seat);
    this.worker.on("message", (report: ChannelReport) => {
      this.take(report);
    });
    this.worker.on("error", (error) => {
      this.fail({ code: "THREAD_DIED", thread: seat.channel, cause: error.message });
    });
  }

  /** Resolves at the next `attached` or `done`. */
  run(command: ChannelCommand): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
    this.worker.postMessage(command);
    return settled;
  }

  async terminate(): Promise<void> {
    this.worker.removeAllListeners();
    await this.worker.terminate();
  }

  private take(report: ChannelReport): void {
    switch (report.type) {
      case "attached":
      case "done":
        this.waiting.shift()?.resolve();
        break;
      case "faulted":
        this.listener.faulted(report);
        break;
      case "refused":
        this.fail(refusal(report.frame));
        break;
      case "failed":
        this.fail(report.failure);
        break;
    }
  }

  private fail(failure: Failure): void {
    for (const { reject } of this.waiting.splice(0)) reject(new MigrationError(failure));
    this.listener.failed(failure);
  }
}

/** What the destination said instead of taking the channel. */
function refusal(frame: Frame): Failure {
  try {
    const message = decodeMessage(frame, "dest", "greeting");
    if (message.name === "failed") return peerFailure(message.body);
    return { code: "MESSAGE_UNEXPECTED", message: message.name, phase: "greeting" };
  } catch (error) {
    return failureOf(error);
  }
}

/**
 * The data connections of one outgoing migration, each in its thread. The threads start at once, so that they
 * are there when the destination has memory for the guest, and `connect` finds them.
 */
export class ChannelPool {
  private readonly bulk: readonly ChannelThread[];
  private readonly urgent: ChannelThread;
  /** Each channel as often as it may take another command. */
  private readonly idle: ChannelThread[];

  constructor(
    bulkCount: number,
    seat: Omit<ChannelSeat, "channel" | "greeting">,
    greetingOf: (channel: string) => Uint8Array<ArrayBuffer>,
    listener: ChannelListener,
  ) {
    const thread = (channel: string) =>
      new ChannelThread({ ...seat, channel, greeting: greetingOf(channel) }, listener);
    this.bulk = Array.from({ length: bulkCount }, (_, index) => thread(`bulk-${String(index)}`));
    this.urgent = thread("urgent");
    this.idle = Array.from({ length: COMMANDS_PER_CHANNEL }, () => this.bulk).flat();
  }

  /** Connects every channel. Rejects as `attach` does, or with PEER_FAILED. */
  async connect(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((it) => it.run({ type: "connect" })));
  }

  /** Sends every chunk of the pass that is still to be taken; resolves when all have arrived. */
  async pass(command: PassCommand): Promise<void> {
    await Promise.all(this.bulk.map((channel) => channel.run(command)));
  }

  /** Sends a batch on the bulk channel that has been idle longest; at most `COMMANDS_PER_CHANNEL` each. */
  async batch(command: ChannelCommand & { type: "batch" }): Promise<void> {
    const channel = this.idle.shift();
    if (channel === undefined) throw new RangeError("more batches than channels");
    await channel.run(command);
    this.idle.push(channel);
  }

  async close(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((channel) => channel.terminate()));
  }
}
