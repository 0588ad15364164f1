import type net from "node:net";
import { MigrationError } from "../failure.js";
import { type Frame, FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { FRAME_TYPES } from "../protocol/pages.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";

/** What a connection is to be, and the `attach` message that says so. */
export interface AttachRequest {
  /** For example `bulk-0`. */
  readonly channel: string;
  readonly greeting: Uint8Array<ArrayBuffer>;
}

/** A connection that the destination has taken. */
export interface Attached {
  readonly channel: string;
  readonly socket: net.Socket;
  /** Goes on with what the destination sends. */
  readonly decoder: FrameDecoder;
}

/** What the destination says instead of taking a connection: a `failed` message, still encoded. */
export class Refused extends Error {
  constructor(readonly frame: Frame) {
    super("the destination refused the connection");
  }
}

/**
 * Connects, and waits until the destination has given the connection to whom it is for. Rejects with
 * CANNOT_CONNECT, CONNECTION_LOST, or `Refused`.
 *
 * Messages are encoded and decoded by the main thread: a channel's thread carries frames of numbers and
 * pages, and need not load what messages take.
 */
export async function attach(
  address: Address,
  { channel, greeting }: AttachRequest,
): Promise<Attached> {
  const socket = await connect(address);
  socket.write(greeting);
  const decoder = new FrameDecoder(MAX_CONTROL_BYTES);
  const frame = await firstFrame(socket, decoder, channel);
  // It may break before anybody listens: whoever takes it over looks whether it is destroyed, and resumes it.
  socket.on("error", () => undefined);
  if (frame.type === FRAME_TYPES.ATTACHED) return { channel, socket, decoder };
  socket.destroy();
  throw new Refused(frame);
}

function firstFrame(socket: net.Socket, decoder: FrameDecoder, channel: string): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: Frame | Error) => {
      socket.removeAllListeners("data").removeAllListeners("error").removeAllListeners("close");
      socket.pause();
      if (!(outcome instanceof Error)) {
        resolve(outcome);
        return;
      }
      socket.destroy();
      reject(outcome);
    };
    const lose = (cause: string) => {
      settle(new MigrationError({ code: "CONNECTION_LOST", connection: channel, cause }));
    };
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it");
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        const [frame] = decoder.push(chunk);
        if (frame !== undefined) settle(frame);
      } catch (error) {
        settle(error as Error);
      }
    });
  });
}
