import { once } from "node:events";
import { readSync } from "node:fs";
import net from "node:net";
import { encodeWords, FRAME_TYPES } from "../protocol/pages.js";
import type { Address } from "./address.js";
import { type Attached, attach } from "./attach.js";
import { descriptorOf } from "./descriptor.js";
import { writeNow } from "./write-now.js";

/** A connection of this thread with itself. Whoever has the one end speaks for the other. */
export interface LoopbackConnection {
  readonly attached: Attached;
  /** Has the other end say that, after its `attached`. */
  say(bytes: Uint8Array): void;
  /** Takes all that has come to the other end, which is nobody's. */
  swallow(): void;
}

/**
 * Real connections for code that is rehearsed: what V8 compiles of Node.js's sockets and of ours for another kind of stream it throws away
 * as soon as there is a socket. The other ends are descriptors that nobody reads as a stream, so that this thread sees sockets of one kind only.
 */
export class Loopback {
  private readonly others: net.Socket[] = [];
  private readonly swallowed = new Uint8Array(2 ** 16);

  private constructor(
    private readonly server: net.Server,
    private readonly address: Address,
  ) {
    // A connection that the system lets nobody take is missed by whoever attaches.
    server.on("error", () => undefined);
    server.on("connection", (other) => {
      this.others.push(other);
      const fd = descriptorOf(other);
      if (fd !== undefined) writeNow(fd, encodeWords(FRAME_TYPES.ATTACHED, 0, []));
    });
  }

  /** Listens on a port of this machine alone. Rejects where that is not possible. */
  static async open(): Promise<Loopback> {
    const server = net.createServer({ noDelay: true, pauseOnConnect: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { address, port } = server.address() as net.AddressInfo;
    return new Loopback(server, { host: address, port });
  }

  /** Attaches as a channel does. Rejects with what `attach` rejects with. */
  async attach(): Promise<LoopbackConnection> {
    const attached = await attach(this.address, { channel: "", greeting: new Uint8Array(1) });
    const { socket } = attached;
    const other = this.others.find(({ remotePort }) => remotePort === socket.localPort);
    const fd = other === undefined ? undefined : descriptorOf(other);
    if (fd === undefined) throw new Error("the other end shows no descriptor");
    return {
      attached,
      say: (bytes) => writeNow(fd, bytes),
      swallow: () => {
        this.swallow(fd);
      },
    };
  }

  /** Ends what is left of the other ends. */
  close(): void {
    this.server.close();
    for (const other of this.others) other.destroy();
  }

  private swallow(fd: number): void {
    const { swallowed } = this;
    try {
      while (readSync(fd, swallowed) === swallowed.byteLength);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
