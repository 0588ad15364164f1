import type { MessagePort, Worker } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import type { RamHandle } from "../memory/ram.js";
import { startThread } from "../platform/spare-threads.js";
import type { ArrivalTablesHandle } from "./arrival-tables.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";

/** What a channel's thread runs. */
export const DEST_CHANNEL_ENTRY = new URL("channel-thread.js", import.meta.url);

export interface ChannelListener {
  /** The last missing page has arrived. */
  whole(): void;
  failed(failure: Failure): void;
}

/**
 * The data connections of one incoming migration, each in its thread. The threads start at once, so that
 * they are there when the source connects.
 */
export class ChannelSet {
  private readonly threads: ReadonlyMap<string, Worker>;
  private readonly taken = new Set<string>();
  private doorbells: readonly MessagePort[] = [];

  constructor(
    bulkCount: number,
    private readonly seat: { readonly ram: RamHandle; readonly tables: ArrivalTablesHandle },
    private readonly listener: ChannelListener,
  ) {
    const names = Array.from({ length: bulkCount }, (_, index) => `bulk-${String(index)}`);
    this.threads = new Map([...names, "urgent"].map((name) => [name, this.start(name)]));
  }

  /** Throws CHANNEL_UNKNOWN or CHANNEL_TAKEN. */
  check(channel: string): void {
    if (!this.threads.has(channel)) throw new MigrationError({ code: "CHANNEL_UNKNOWN", channel });
    if (this.taken.has(channel)) throw new MigrationError({ code: "CHANNEL_TAKEN", channel });
  }

  /** Gives descriptor `fd` to the thread of a channel that passed `check`. */
  adopt(channel: string, fd: number): void {
    this.taken.add(channel);
    this.tell(channel, { type: "open", fd });
    this.connectFaultLines();
  }

  /** The vCPUs ask for pages at these ports: one a vCPU. */
  listenTo(doorbells: readonly MessagePort[]): void {
    this.doorbells = doorbells;
    this.connectFaultLines();
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.threads.values()].map((worker) => {
        worker.removeAllListeners();
        return worker.terminate();
      }),
    );
  }

  private start(channel: string): Worker {
    const seat: ChannelSeat = { channel, ...this.seat };
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

  private tell(
    channel: string,
    command: ChannelCommand,
    transfer: readonly MessagePort[] = [],
  ): void {
    this.threads.get(channel)?.postMessage(command, transfer);
  }

  /** Once there are both an urgent channel and vCPUs. */
  private connectFaultLines(): void {
    const { doorbells } = this;
    if (!this.taken.has("urgent") || doorbells.length === 0) return;
    this.doorbells = [];
    this.tell("urgent", { type: "faultLines", doorbells }, doorbells);
  }
}
