import { Worker } from "node:worker_threads";
import { type Failure, failureOf, MigrationError } from "../failure.js";
import { decodeMessage } from "../protocol/codec.js";
import type { Frame } from "../protocol/frame.js";
import { peerFailure } from "../protocol/messages.js";
import type { ChannelCommand, ChannelReport, ChannelSeat, Fault } from "./channel-contract.js";
import type { EpochOpening } from "./epoch-history.js";

export interface ChannelListener {
  faulted(fault: Fault): void;
  failed(failure: Failure): void;
}

/** One channel's thread, as the main thread drives it: a command at a time. */
class ChannelThread {
  private readonly worker: Worker;
  private waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(
    seat: ChannelSeat,
    private readonly listener: ChannelListener,
  ) {
    this.worker = new Worker(new URL("channel-thread.js", import.meta.url), {
      workerData: seat,
      name: seat.channel,
    });
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
      this.waiting = { resolve, reject };
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
        this.waiting?.resolve();
        this.waiting = undefined;
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
    this.waiting?.reject(new MigrationError(failure));
    this.waiting = undefined;
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
    this.idle = [...this.bulk];
  }

  /** Connects every channel. Rejects as `attach` does, or with PEER_FAILED. */
  async connect(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((it) => it.run({ type: "connect" })));
  }

  /** Sends every chunk of the pass that is still to be taken; resolves when all have arrived. */
  async pass(pass: number, history: readonly EpochOpening[]): Promise<void> {
    await Promise.all(this.bulk.map((channel) => channel.run({ type: "pass", pass, history })));
  }

  /** Sends a batch on an idle bulk channel. At most as many at a time as there are channels. */
  async batch(command: ChannelCommand & { type: "batch" }): Promise<void> {
    const channel = this.idle.pop();
    if (channel === undefined) throw new RangeError("more batches than channels");
    await channel.run(command);
    this.idle.push(channel);
  }

  async close(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((channel) => channel.terminate()));
  }
}
