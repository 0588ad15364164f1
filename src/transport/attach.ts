import type net from "node:net";
import { MigrationError } from "../failure.js";
import { decodeMessage, encodeMessage } from "../protocol/codec.js";
import { FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import { PROTOCOL_VERSION } from "../protocol/version.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";

/** Which data connection of which migration. */
export interface ChannelName {
  readonly migrationId: string;
  readonly session: Uint8Array<ArrayBuffer>;
  /** `bulk-0`, `bulk-1`, … or `urgent`. */
  readonly channel: string;
}

/** Frames 0 of both directions are spent on `attach` and `attached`. */
export const FIRST_DATA_SEQUENCE = 1;

/**
 * Connects a channel and waits until the destination's thread has it. The decoder goes on with what the
 * destination sends. Rejects with CANNOT_CONNECT, CONNECTION_LOST or PEER_FAILED.
 */
export async function attach(
  address: Address,
  { migrationId, session, channel }: ChannelName,
): Promise<{ readonly socket: net.Socket; readonly decoder: FrameDecoder }> {
  const socket = await connect(address);
  const greeting = { version: PROTOCOL_VERSION, migrationId, session, channel };
  socket.write(encodeMessage("attach", greeting, 0));
  const decoder = new FrameDecoder(MAX_CONTROL_BYTES);
  await answer(socket, decoder, channel);
  return { socket, decoder };
}

function answer(socket: net.Socket, decoder: FrameDecoder, channel: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error) => {
      socket.removeAllListeners("data").removeAllListeners("error").removeAllListeners("close");
      if (error === undefined) {
        resolve();
        return;
      }
      socket.destroy();
      reject(error);
    };
    const lose = (cause: string) => {
      end(new MigrationError({ code: "CONNECTION_LOST", connection: channel, cause }));
    };
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it");
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of decoder.push(chunk)) {
          const message = decodeMessage(frame, "dest", "greeting");
          if (message.name === "attached") end();
          else if (message.name === "failed") end(refusal(message.body));
          else lose(`it answered "${message.name}"`);
          return;
        }
      } catch (error) {
        end(error as Error);
      }
    });
  });
}

/** What the other side said in its `failed` message. */
export function refusal(body: { readonly code: string; readonly text: string }): MigrationError {
  return new MigrationError({ code: "PEER_FAILED", peerCode: body.code, text: body.text });
}
