import type net from "node:net";
import { MigrationError } from "../failure.js";
import { type Frame, FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { FRAME_TYPES } from "../protocol/pages.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";

/** Frames 0 of both directions are spent on `attach` and `ATTACHED`. */
export const FIRST_DATA_SEQUENCE = 1;

/** A channel that the destination has taken, or its refusal: a `failed` message, still encoded. */
export type Attachment =
  { readonly socket: net.Socket; readonly decoder: FrameDecoder } | { readonly refusal: Frame };

/**
 * Connects `channel` by the `attach` message in `greeting`, and waits until the destination's thread has it. The
 * decoder goes on with what the destination sends. Rejects with CANNOT_CONNECT or CONNECTION_LOST.
 *
 * Messages are encoded and decoded by the main thread: a channel's thread carries frames of numbers and
 * pages, and need not load what messages take.
 */
export async function attach(
  address: Address,
  channel: string,
  greeting: Uint8Array,
): Promise<Attachment> {
  const socket = await connect(address);
  socket.write(greeting);
  const decoder = new FrameDecoder(MAX_CONTROL_BYTES);
  const frame = await firstFrame(socket, decoder, channel);
  if (frame.type === FRAME_TYPES.ATTACHED) return { socket, decoder };
  socket.destroy();
  return { refusal: frame };
}

function firstFrame(socket: net.Socket, decoder: FrameDecoder, channel: string): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: Frame | Error) => {
      socket.removeAllListeners("data").removeAllListeners("error").removeAllListeners("close");
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
