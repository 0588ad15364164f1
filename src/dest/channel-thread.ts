import type net from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { type Failure, MigrationError } from "../failure.js";
import { GuestRam } from "../memory/ram.js";
import { VCPU_WORDS, vcpuWords } from "../memory/words.js";
import { nextSequence } from "../protocol/frame.js";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import { FIRST_DATA_SEQUENCE } from "../transport/attach.js";
import { GatheringSink } from "../transport/gathering-sink.js";
import { openInPlace } from "../transport/in-place.js";
import { Arrival } from "./arrival.js";
import { ArrivalTables } from "./arrival-tables.js";
import type { ChannelCommand, ChannelReport, ChannelSeat } from "./channel-contract.js";
import { PageReceiver } from "./page-receiver.js";

/**
 * Entry of a channel's thread: see channel-contract.ts. Bulk and urgent channels are alike; the urgent one
 * also listens to the vCPUs' faults.
 */
const seat = workerData as ChannelSeat;
const main = parentPort!;
const ram = new GuestRam(seat.ram);
const isUrgent = seat.channel === "urgent";
/** Where bytes go that come after a failure. */
const discard = new Uint8Array(64 * 1024);

let socket: net.Socket | undefined;
let sequence = 0;
let ended = false;

function send(type: number, words: readonly number[]): void {
  socket?.write(encodeWords(type, sequence, words));
  sequence = nextSequence(sequence);
}

function report(message: ChannelReport): void {
  main.postMessage(message);
}

/** The main thread tells the source why, on the control connection. */
function end(failure: Failure): void {
  if (ended) return;
  ended = true;
  report({ type: "failed", failure });
}

const arrival = new Arrival(ram, new ArrivalTables(seat.tables), {
  torn: (pages) => {
    send(FRAME_TYPES.TORN, pages);
  },
  credit: (bytes) => {
    send(FRAME_TYPES.CREDIT, [bytes]);
  },
  barrierPassed: (pass) => {
    send(FRAME_TYPES.BARRIER_PASSED, [pass]);
  },
  requestAgain: (page) => {
    send(FRAME_TYPES.REQUEST, [page, 1, 0, 0]);
  },
  whole: () => {
    report({ type: "whole" });
  },
});
const receiver = new PageReceiver(arrival, FIRST_DATA_SEQUENCE);

function take(byteCount: number): void {
  if (ended) return;
  try {
    receiver.filled(byteCount);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    end(error.failure);
  }
}

function lose(cause: string): void {
  const { missingBytes } = receiver;
  if (missingBytes > 0) end({ code: "FRAME_TRUNCATED", missingBytes });
  else end({ code: "CONNECTION_LOST", connection: seat.channel, cause });
}

function open(fd: number): void {
  const places = { next: () => (ended ? discard : receiver.next()), filled: take };
  // A page that a vCPU waits for comes alone: one read for all of its frame.
  socket = openInPlace(fd, isUrgent ? new GatheringSink(places) : places);
  socket.on("error", (error) => {
    lose(error.message);
  });
  socket.on("end", () => {
    lose("the other side closed it");
  });
  socket.on("close", () => {
    lose("it was closed");
  });
  send(FRAME_TYPES.ATTACHED, []);
}

main.on("message", (command: ChannelCommand) => {
  if (command.type === "open") {
    open(command.fd);
    return;
  }
  command.doorbells.forEach((doorbell, vcpu) => {
    const hitsAt = vcpuWords(vcpu) + VCPU_WORDS.PREPULL_HITS;
    doorbell.on("message", (page: number) => {
      send(FRAME_TYPES.REQUEST, [page, 0, vcpu, Atomics.load(ram.words, hitsAt)]);
    });
  });
});
