import type net from "node:net";
import { Duplex } from "node:stream";
import type { Attached } from "../transport/attach.js";
import type { LoopbackConnection } from "../transport/loopback.js";
import { WordFrames } from "../transport/word-frames.js";

/** A connection that has nobody at its other end: what is said there is heard at once, and pages go to the descriptor `fd`, if any are sent. */
export function toNobody(fd?: number): LoopbackConnection {
  const attached = attachedTo(nobody(fd));
  return {
    attached,
    say: (bytes) => {
      hearOn(attached, bytes);
    },
    swallow: () => {
      // Nothing comes to anybody.
    },
  };
}

/**
 * Says nothing by itself. Each is of a class of its own: V8 compiles for the kinds that it has seen while they are few, and
 * throws that away when a socket comes.
 */
function nobody(fd?: number): Duplex {
  const Nobody = class extends Duplex {
    readonly _handle = { fd };
    override _read(): void {
      // It says nothing.
    }
  };
  return new Nobody();
}

function attachedTo(stream: Duplex): Attached {
  // All that a channel asks of its socket is what every stream has.
  return { channel: "", socket: stream as unknown as net.Socket, frames: new WordFrames() };
}

/** As if the bytes had just come. */
function hearOn({ frames }: Attached, bytes: Uint8Array): void {
  frames.next().set(bytes);
  frames.filled(bytes.byteLength);
}
