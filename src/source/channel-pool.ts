import type { Worker } from "node:worker_threads";
import { type Failure, failureOf, MigrationError } from "../failure.js";
import { sendByWindow } from "../platform/congestion-control.js";
import { allOrNone, startThread } from "../platform/spare-threads.js";
import { bulkChannels, faultLines, URGENT } from "../protocol/channel-names.js";
import { decodeMessage } from "../protocol/codec.js";
import type { Frame } from "../protocol/frame.js";
import { peerFailure } from "../protocol/messages.js";
import { isLoopback } from "../transport/address.js";
import type {
  ChannelCommand,
  ChannelReport,
  ChannelSeat,
  PassCommand,
} from "./channel-contract.js";

/** What a channel's thread runs. */
export const SOURCE_CHANNEL_ENTRY = new URL("channel-thread.js", import.meta.url);

interface ChannelListener {
  /** Neighbours of a fault: for any bulk channel. */
  prepull(pages: Uint32Array): void;
  failed(failure: Failure): void;
}

/** One channel's thread, as the main thread drives it. It answers commands in their order. */
class ChannelThread {
  private readonly worker: Worker;
  /** Its connections stay within this machine. */
  private readonly isLocal: boolean;
  private readonly waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    seat: ChannelSeat,
    private readonly listener: ChannelListener,
  ) {
    this.isLocal = isLoopback(seat.to.host);
    this.worker = startThread(SOURCE_CHANNEL_ENTRY, seat);
    this.worker.on("message", (report: ChannelReport) => {
      this.take(report);
    });
    this.worker.on("error", (error) => {
      this.fail({ code: "THREAD_DIED", thread: seat.channel, cause: error.message });
    });
  }

  /** Resolves at the next `attached` or `done`. */
  run(command: PassCommand | { readonly type: "connect" }): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
    });
    this.tell(command);
    return settled;
  }

  tell(command: ChannelCommand): void {
    this.worker.postMessage(command);
  }

  async terminate(): Promise<void> {
    this.worker.removeAllListeners();
    await this.worker.terminate();
  }

  private take(report: ChannelReport): void {
    switch (report.type) {
      case "attached":
        // Should one of them have closed meanwhile, its number is nobody's, or that of another connection, which goes on by a window as well.
        if (this.isLocal) report.descriptors.forEach(sendByWindow);
        this.waiting.shift()?.resolve();
        break;
      case "done":
        this.waiting.shift()?.resolve();
        break;
      case "prepull":
        this.listener.prepull(report.pages);
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
 * are there when the destination has memory for the guest, and `connect` finds them; or all of it throws THREADS_SHORT.
 */
export class ChannelPool {
  private readonly bulk: readonly ChannelThread[];
  private readonly urgent: ChannelThread;
  private prepulls = 0;

  constructor(
    readonly bulkCount: number,
    vcpuCount: number,
    seat: Omit<ChannelSeat, "channel" | "connections" | "bulkCount">,
    greetingOf: (channel: string) => Uint8Array<ArrayBuffer>,
    failed: (failure: Failure) => void,
  ) {
    const listener: ChannelListener = {
      failed,
      prepull: (pages) => {
        this.prepull(pages);
      },
    };
    const requestFor = (channel: string) => ({ channel, greeting: greetingOf(channel) });
    const thread = (channel: string, lines: readonly string[]) => {
      const connections = [requestFor(channel), ...lines.map(requestFor)] as const;
      return new ChannelThread({ ...seat, bulkCount, channel, connections }, listener);
    };
    const urgent = () => thread(URGENT, faultLines(vcpuCount));
    const bulk = bulkChannels(bulkCount).map((channel) => () => thread(channel, []));
    const [first, ...others] = allOrNone([urgent, ...bulk]);
    this.urgent = first!;
    this.bulk = others;
  }

  /** Connects every channel. Rejects as `attach` does, or with PEER_FAILED. */
  async connect(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((it) => it.run({ type: "connect" })));
  }

  /** Sends every chunk of the pass that is still to be taken; resolves when all have arrived. */
  async pass(command: PassCommand): Promise<void> {
    await Promise.all(this.bulk.map((channel) => channel.run(command)));
  }

  /** Sends these pages to a guest that was handed over, before it can ask for them. */
  sendAhead(pages: readonly number[]): void {
    this.urgent.tell({ type: "sendAhead", pages });
  }

  /** Begins to send what the tables plan for stage three. */
  push(): void {
    for (const channel of this.bulk) channel.tell({ type: "push" });
  }

  /** Sends these pages first, the bulk channels in turn. */
  private prepull(pages: Uint32Array): void {
    this.bulk[this.prepulls % this.bulk.length]?.tell({ type: "prepull", pages });
    this.prepulls += 1;
  }

  async close(): Promise<void> {
    await Promise.all([...this.bulk, this.urgent].map((channel) => channel.terminate()));
  }
}
