import net from "node:net";
import { describe, type Failure, MigrationError } from "../failure.js";
import { decodeMessage, encodeMessage } from "../protocol/codec.js";
import { type Frame, FrameDecoder } from "../protocol/frame.js";
import { GREETING_TIMEOUT_MS, MAX_GREETING_BYTES } from "../protocol/limits.js";
import type { Message } from "../protocol/messages.js";
import { type Address, formatAddress } from "./address.js";
import { destroyWithin } from "./destroy-within.js";

/** What a peer is given to close its side, once it has had its answer. */
const HANG_UP_MS = 1000;

/** A connection that has said who it is. Nothing is unread, and no listener is left on the socket. */
export interface Greeting {
  readonly message: Extract<Message, { name: "hello" | "attach" | "ask" | "probe" }>;
  readonly socket: net.Socket;
  /** Has taken frame 0. */
  readonly decoder: FrameDecoder;
}

export interface Greeter {
  /** With the real port. */
  readonly address: Address;
  close(): void;
}

/**
 * Listens, and reads the first frame of every connection. What is not a greeting gets one `failed` message
 * and the end of the connection; `refused` hears of it, and of connections that the system does not let us take. `greeted` may throw a `MigrationError` to
 * refuse, too. Rejects with CANNOT_LISTEN.
 */
export function openGreeter(
  address: Address,
  greeted: (greeting: Greeting) => void,
  refused: (failure: Failure, from: string) => void,
): Promise<Greeter> {
  const strangers = new Set<net.Socket>();
  const server = net.createServer({ noDelay: true }, (socket) => {
    strangers.add(socket);
    const from = `${socket.remoteAddress ?? "?"}:${String(socket.remotePort ?? 0)}`;
    readGreeting(socket).then(
      (greeting) => {
        strangers.delete(socket);
        try {
          greeted(greeting);
        } catch (error) {
          refuse(socket, error, from, refused);
        }
      },
      (error: unknown) => {
        strangers.delete(socket);
        refuse(socket, error, from, refused);
      },
    );
  });
  return new Promise((resolve, reject) => {
    const text = formatAddress(address);
    server.once("error", (error) => {
      const cause = error.message;
      reject(new MigrationError({ code: "CANNOT_LISTEN", address: text, cause }, { cause: error }));
    });
    server.listen({ host: address.host, port: address.port }, () => {
      const { port } = server.address() as net.AddressInfo;
      server.on("error", (error) => {
        refused({ code: "CANNOT_ACCEPT", address: text, cause: error.message }, "?");
      });
      resolve({
        address: { host: address.host, port },
        close: () => {
          server.close();
          for (const socket of strangers) socket.destroy();
        },
      });
    });
  });
}

function readGreeting(socket: net.Socket): Promise<Greeting> {
  const decoder = new FrameDecoder(MAX_GREETING_BYTES);
  return new Promise((resolve, reject) => {
    const settle = (failure: Failure | undefined, greeting?: Greeting) => {
      clearTimeout(timer);
      socket.removeAllListeners("data").removeAllListeners("error").removeAllListeners("close");
      socket.pause();
      if (greeting !== undefined) resolve(greeting);
      else if (failure !== undefined) reject(new MigrationError(failure));
    };
    const settleUnlessCut = (failure: Failure) => {
      const { missingBytes } = decoder;
      settle(missingBytes > 0 ? { code: "FRAME_TRUNCATED", missingBytes } : failure);
    };
    const lose = (cause: string) => {
      settleUnlessCut({ code: "CONNECTION_LOST", connection: "new", cause });
    };
    // Of the whole greeting: a byte now and then does not hold a connection open.
    const timer = setTimeout(() => {
      const silentMs = GREETING_TIMEOUT_MS;
      settleUnlessCut({ code: "PEER_SILENT", connection: "new", silentMs });
    }, GREETING_TIMEOUT_MS);
    socket.on("error", (error) => {
      lose(error.message);
    });
    socket.on("close", () => {
      lose("the other side closed it before it said who it is");
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        const frames = [...decoder.push(chunk)];
        const [first] = frames;
        if (first === undefined) return;
        settle(undefined, { message: greetingIn(first, frames, decoder), socket, decoder });
      } catch (error) {
        if (!(error instanceof MigrationError)) throw error;
        settle(error.failure);
      }
    });
  });
}

function greetingIn(first: Frame, frames: readonly Frame[], decoder: FrameDecoder) {
  const message = decodeMessage(first, "source", "greeting");
  switch (message.name) {
    case "hello":
    case "attach":
    case "ask":
    case "probe":
      break;
    default:
      throw unexpected(message.name);
  }
  // Nobody may speak on before the answer: the connection is handed over between frames.
  if (frames.length > 1 || decoder.missingBytes > 0) throw unexpected("a second frame");
  return message;
}

function unexpected(message: string): MigrationError {
  return new MigrationError({ code: "MESSAGE_UNEXPECTED", message, phase: "greeting" });
}

/** One clear error for the peer and for our log; a bug of ours is thrown on. */
function refuse(
  socket: net.Socket,
  error: unknown,
  from: string,
  refused: (failure: Failure, from: string) => void,
): void {
  if (!(error instanceof MigrationError)) throw error;
  const { failure } = error;
  refused(failure, from);
  const { code } = failure;
  sayAndHangUp(socket, encodeMessage("failed", { code, text: describe(failure) }, 0));
}

/** One last message on a connection that leads to no migration. The peer may be gone, or never close its side. */
export function sayAndHangUp(socket: net.Socket, message: Uint8Array): void {
  socket.on("error", () => {
    // There is nobody left to tell.
  });
  socket.resume();
  socket.end(message);
  destroyWithin(socket, HANG_UP_MS);
}
