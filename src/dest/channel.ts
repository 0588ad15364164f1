import type net from "node:net";
import { type Failure, MigrationError } from "../failure.js";
import { GuestRam } from "../memory/ram.js";
import { nextSequence } from "../protocol/frame.js";
import { RUNNING_TIMEOUT_MS } from "../protocol/limits.js";
import { encodeWords, FIRST_DATA_SEQUENCE, FRAME_TYPES } from "../protocol/pages.js";
import { GatheringSink } from "../transport/gathering-sink.js";
import { type InPlaceSink, openInPlace } from "../transport/in-place.js";
import { writeByDescriptor } from "../transport/write-now.js";
import { Arrival, type ArrivalSink } from "./arrival.js";
import { ArrivalTables } from "./arrival-tables.js";
import type { ChannelReport, ChannelSeat } from "./channel-contract.js";
import { PageReceiver } from "./page-receiver.js";

/**
 * A data connection of the destination: takes pages, and answers with what the source must know. The urgent channel
 * has no window, so it grants no credit.
 */
export class Channel {
  /** Where what is read goes. */
  readonly places: InPlaceSink;
  private readonly receiver: PageReceiver;
  private readonly isUrgent: boolean;
  /** Where bytes go that come after a failure. */
  private readonly discard = new Uint8Array(64 * 1024);
  private socket: net.Socket | undefined;
  private fd: number | undefined;
  private sequence = 0;
  private ended = false;

  constructor(
    private readonly seat: ChannelSeat,
    private readonly report: (report: ChannelReport) => void,
  ) {
    this.isUrgent = seat.bulkIndex === null;
    const sink: ArrivalSink = {
      torn: (pages) => {
        this.send(FRAME_TYPES.TORN, pages);
      },
      credit: (bytes) => {
        if (!this.isUrgent) this.send(FRAME_TYPES.CREDIT, [bytes]);
      },
      barrierPassed: (pass) => {
        this.send(FRAME_TYPES.BARRIER_PASSED, [pass]);
      },
      requestAgain: (page) => {
        this.send(FRAME_TYPES.REQUEST, [page, 1, 0, 0]);
      },
      whole: () => {
        report({ type: "whole" });
      },
    };
    // Pages that are sent ahead may overtake the switchover. A thread that waits for it keeps nobody waiting: the urgent
    // channel carries nothing else before it.
    const patienceMs = this.isUrgent ? RUNNING_TIMEOUT_MS : 0;
    const ram = new GuestRam(seat.ram);
    const arrival = new Arrival(
      ram,
      new ArrivalTables(seat.tables),
      sink,
      seat.bulkIndex,
      patienceMs,
    );
    this.receiver = new PageReceiver(arrival, FIRST_DATA_SEQUENCE);
    const places = {
      next: () => (this.ended ? this.discard : this.receiver.next()),
      filled: (byteCount: number) => {
        this.take(byteCount);
      },
    };
    // A page that a vCPU waits for comes alone: one read for all of its frame.
    this.places = this.isUrgent ? new GatheringSink(places) : places;
  }

  /** The source has connected it, on this descriptor. */
  open(fd: number): void {
    this.fd = fd;
    this.socket = openInPlace(fd, this.places);
    this.socket.on("error", (error) => {
      this.lose(error.message);
    });
    this.socket.on("end", () => {
      this.lose("the other side closed it");
    });
    this.socket.on("close", () => {
      this.lose("it was closed");
    });
    this.send(FRAME_TYPES.ATTACHED, []);
  }

  private take(byteCount: number): void {
    if (this.ended) return;
    try {
      this.receiver.filled(byteCount);
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      this.end(error.failure);
    }
  }

  private send(type: number, words: readonly number[]): void {
    const { socket } = this;
    if (socket === undefined) return;
    const frame = encodeWords(type, this.sequence, words);
    this.sequence = nextSequence(this.sequence);
    const written = writeByDescriptor(socket, this.fd, frame);
    if (written < frame.byteLength) socket.write(frame.subarray(written));
  }

  private lose(cause: string): void {
    const { missingBytes } = this.receiver;
    if (missingBytes > 0) this.end({ code: "FRAME_TRUNCATED", missingBytes });
    else this.end({ code: "CONNECTION_LOST", connection: this.seat.channel, cause });
  }

  /** The main thread tells the source why, on the control connection. */
  private end(failure: Failure): void {
    if (this.ended) return;
    this.ended = true;
    this.report({ type: "failed", failure });
  }
}
