import type { Worker } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import { allOrNone, startThread } from "../platform/spare-threads.js";
import { bulkChannels, faultLines, URGENT } from "../protocol/channel-names.js";
import { FaultLines } from "../transport/fault-lines.js";
import type { ArrivalTablesHandle } from "./arrival-tables.js";
import type { ChannelOpening, ChannelReport, ChannelSeat } from "./channel-contract.js";

/** What a channel's thread runs. */
export const DEST_CHANNEL_ENTRY = new URL("channel-thread.js", import.meta.url);

export interface ChannelListener {
  /** The last missing page has arrived. */
  whole(): void;
  failed(failure: Failure): void;
}

/**
 * The data connections of one incoming migration: channels, each in its thread, and a fault line for each vCPU. The
 * threads start at once, so that they are there when the source connects; or all of it throws THREADS_SHORT.
 */
export class ChannelSet {
  private readonly threads: ReadonlyMap<string, Worker>;
  /** How the vCPUs ask for pages. */
  readonly faultLines: FaultLines;
  private readonly lineNames: readonly string[];
  private readonly taken = new Set<string>();

  constructor(
    bulkCount: number,
    vcpuCount: number,
    private readonly seat: { readonly ram: RamHandle; readonly tables: ArrivalTablesHandle },
    private readonly listener: ChannelListener,
  ) {
    const bulk = bulkChannels(bulkCount).map((channel, bulkIndex) => ({ channel, bulkIndex }));
    const channels = [...bulk, { channel: URGENT, bulkIndex: null }];
    const threads = allOrNone(channels.map((its) => () => this.start(its)));
    this.threads = new Map(channels.map(({ channel }, at) => [channel, threads[at]!]));
    this.faultLines = new FaultLines(vcpuCount);
    this.lineNames = faultLines(vcpuCount);
  }

  /** Throws CHANNEL_UNKNOWN or CHANNEL_TAKEN. */
  check(channel: string): void {
    const isKnown = this.threads.has(channel) || this.lineNames.includes(channel);
    if (!isKnown) throw new MigrationError({ code: "CHANNEL_UNKNOWN", channel });
    if (this.taken.has(channel)) throw new MigrationError({ code: "CHANNEL_TAKEN", channel });
  }

  /** Gives descriptor `fd` to whoever a channel that passed `check` belongs to. */
  adopt(channel: string, fd: number): void {
    this.taken.add(channel);
    const opening: ChannelOpening = { fd };
    const thread = this.threads.get(channel);
    if (thread === undefined) this.faultLines.open(this.lineNames.indexOf(channel), fd);
    else thread.postMessage(opening);
  }

  async close(): Promise<void> {
    this.faultLines.close();
    await Promise.all(
      [...this.threads.values()].map((worker) => {
        worker.removeAllListeners();
        return worker.terminate();
      }),
    );
  }

  private start(its: Pick<ChannelSeat, "channel" | "bulkIndex">): Worker {
    const { channel } = its;
    const seat: ChannelSeat = { ...its, ...this.seat };
    const worker = startThread(DEST_CHANNEL_ENTRY, seat);
    worker.on("message", (report: ChannelReport) => {
      if (report.type === "whole") this.listener.whole();
      else this.listener.failed(report.failure);
    });
    worker.on("error", (error) => {
      this.listener.failed({ code: "THREAD_DIED", thread: channel, cause: error.message });
    });
    return worker;
  }
}
