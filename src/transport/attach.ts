import type net from "node:net";
import { MigrationError } from "../failure.js";
import type { Frame } from "../protocol/frame.js";
import { decodeWords, FRAME_TYPES } from "../protocol/pages.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";
import { WordFrames } from "./word-frames.js";

/** What a connection is to be, and the `attach` message that says so. */
export interface AttachRequest {
  /** For example `bulk-0`. */
  readonly channel: string;
  readonly greeting: Uint8Array<ArrayBuffer>;
}

/** A connection that the destination has taken. It is paused until somebody listens. */
export interface Attached {
  readonly channel: string;
  readonly socket: net.Socket;
  /** Goes on with what the destination sends. */
  readonly frames: WordFrames;
}

/** What the destination says instead of taking a connection: a `failed` message, still encoded. */
export class Refused extends Error {
  constructor(readonly frame: Frame) {
    super("the destination refused the connection");
  }
}

/**
 * Connects, and waits until the destination has given the connection to whom it is for. Rejects with
 * CANNOT_CONNECT, CONNECTION_LOST, FRAME_MALFORMED, or `Refused`.
 *
 * Messages are encoded and decoded by the main thread: a channel's thread carries frames of numbers and
 * pages, and need not load what messages take.
 */
export async function attach(
  address: Address,
  { channel, greeting }: AttachRequest,
): Promise<Attached> {
  const frames = new WordFrames();
  const socket = await connect(address, frames);
  socket.write(greeting);
  await taken(socket, frames, channel);
  // It may break before anybody listens: whoever takes it over looks whether it is destroyed, and resumes it.
  socket.on("error", () => undefined);
  return { channel, socket, frames };
}

function taken(socket: net.Socket, frames: WordFrames, channel: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.removeAllListeners("error").removeAllListeners("close");
      socket.pause();
      frames.hush();
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const lose = (cause: string) => {
      fail(new MigrationError({ code: "CONNECTION_LOST", connection: channel, cause }));
    };
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it");
    });
    const take = (frame: Frame) => {
      if (frame.type !== FRAME_TYPES.ATTACHED) {
        throw new Refused({ ...frame, body: frame.body.slice() });
      }
      decodeWords("attached", frame, 0);
      settle();
      resolve();
    };
    frames.listen({ take, fail });
    socket.resume();
  });
}
