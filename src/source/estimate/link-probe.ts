import type net from "node:net";
import type { Clock } from "../../clock.js";
import { MigrationError } from "../../failure.js";
import { decodeMessage, encodeMessage } from "../../protocol/codec.js";
import { FrameDecoder } from "../../protocol/frame.js";
import { MAX_GREETING_BYTES, MAX_PROBE_BYTES, PROBE_TIMEOUT_MS } from "../../protocol/limits.js";
import { type Message, type MessageBody, peerFailure } from "../../protocol/messages.js";
import { PROTOCOL_VERSION } from "../../protocol/version.js";
import type { Address } from "../../transport/address.js";
import { connect } from "../../transport/connect.js";
import { RateLimit } from "../rate-limit.js";

/** The smallest of these counts: what delays a round trip never shortens one. */
const ROUND_TRIPS = 5;
/** First a little, to learn how much is enough. */
const FIRST_BYTES = 2 ** 20;
/** Long enough to fill the link, short enough to go unnoticed. */
const PROBE_MS = 250;
const PIECE_BYTES = 256 * 1024;
/** The destination answers in its own time limit, give or take a connection that is slow to drain. */
const PATIENCE_MS = 2 * PROBE_TIMEOUT_MS;

export interface LinkMeasurement {
  readonly roundTripMs: number;
  readonly bytesPerSecond: number;
}

/** Whom to probe, and how hard. */
export interface LinkProbe {
  readonly to: Address;
  readonly token: string | null;
  /** Bytes per second that the probe itself keeps to; undefined for all that the link carries. */
  readonly maxBandwidth: number | undefined;
  /** Aborted when something on the same link must not wait: what has not left yet never does. */
  readonly signal: AbortSignal;
}

/**
 * Measures the link to a destination. Rejects with CANNOT_CONNECT, CONNECTION_LOST, PEER_SILENT, or
 * PEER_FAILED for a host that refuses, and with the signal's reason.
 */
export async function probeLink(probe: LinkProbe, clock: Clock): Promise<LinkMeasurement> {
  let roundTripMs = Number.POSITIVE_INFINITY;
  for (let trip = 0; trip < ROUND_TRIPS; trip += 1) {
    roundTripMs = Math.min(roundTripMs, (await probeOnce(probe, 0, clock)).roundTripMs);
  }
  const first = await probeOnce(probe, FIRST_BYTES, clock);
  const wanted = Math.round((first.bytesPerSecond * PROBE_MS) / 1000);
  const bytes = Math.max(FIRST_BYTES, Math.min(wanted, MAX_PROBE_BYTES));
  const { bytesPerSecond } = await probeOnce(probe, bytes, clock);
  return { roundTripMs, bytesPerSecond };
}

async function probeOnce(
  { to, token, maxBandwidth, signal }: LinkProbe,
  bytes: number,
  clock: Clock,
): Promise<LinkMeasurement> {
  signal.throwIfAborted();
  const socket = await connect(to);
  // Closed in the usual way, the system would still send what it was given.
  const giveWay = () => socket.resetAndDestroy();
  signal.addEventListener("abort", giveWay);
  try {
    signal.throwIfAborted();
    const answers = new Answers(socket);
    const sentMs = clock.nowMs();
    socket.write(encodeMessage("probe", { version: PROTOCOL_VERSION, token, bytes }, 0));
    await answers.next("probing");
    const roundTripMs = clock.nowMs() - sentMs;
    const limit = new RateLimit(RateLimit.createState(), maxBandwidth, 1, clock);
    await send(socket, bytes, limit);
    return { roundTripMs, bytesPerSecond: rateOf(await answers.next("probed")) };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveWay);
    socket.destroy();
  }
}

/** What came in one piece came in no time, and is worth the shortest time that a clock tells apart. */
function rateOf({ receivedBytes, spanMs }: MessageBody<"probed">): number {
  return receivedBytes / (Math.max(spanMs, 0.1) / 1000);
}

/** Ends early when the other side has heard enough. */
async function send(socket: net.Socket, bytes: number, limit: RateLimit): Promise<void> {
  const piece = Buffer.alloc(PIECE_BYTES, 0xa5);
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      resolve();
    });
  });
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    const size = Math.min(left, PIECE_BYTES);
    await Promise.race([limit.ready(size), closed]);
    if (!socket.writable) return;
    limit.charge(size);
    if (socket.write(piece.subarray(0, size))) continue;
    const drained = new Promise<void>((resolve) => {
      socket.once("drain", resolve);
    });
    await Promise.race([drained, closed]);
  }
}

type AnswerName = "probing" | "probed";

/** The destination's messages on the connection of one probe, one after another. */
class Answers {
  private readonly decoder = new FrameDecoder(MAX_GREETING_BYTES);
  private readonly messages: Message[] = [];
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(socket: net.Socket) {
    const connection = "probe";
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of this.decoder.push(chunk)) {
          this.messages.push(decodeMessage(frame, "dest", "greeting"));
        }
      } catch (error) {
        this.fail(error as Error);
      }
      this.wake?.();
    });
    socket.on("error", (error) => {
      this.fail(new MigrationError({ code: "CONNECTION_LOST", connection, cause: error.message }));
    });
    socket.on("close", () => {
      const cause = "the other side closed it";
      this.fail(new MigrationError({ code: "CONNECTION_LOST", connection, cause }));
    });
    socket.setTimeout(PATIENCE_MS, () => {
      this.fail(new MigrationError({ code: "PEER_SILENT", connection, silentMs: PATIENCE_MS }));
    });
  }

  async next<Name extends AnswerName>(name: Name): Promise<MessageBody<Name>> {
    for (;;) {
      const message = this.messages.shift();
      if (message?.name === "failed") throw new MigrationError(peerFailure(message.body));
      if (message?.name === name) return message.body as MessageBody<Name>;
      if (message !== undefined) {
        const phase = "greeting";
        throw new MigrationError({ code: "MESSAGE_UNEXPECTED", message: message.name, phase });
      }
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }
}
