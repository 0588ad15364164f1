import type net from "node:net";
import type { Clock } from "../clock.js";
import { MigrationError } from "../failure.js";
import { encodeMessage } from "../protocol/codec.js";
import { MAX_PROBES, PROBE_TIMEOUT_MS } from "../protocol/limits.js";
import { destroyWithin } from "../transport/destroy-within.js";

/** Who asked for a probe and does not hang up afterwards is hung up on. */
const CLOSE_LIMIT_MS = 1000;

/**
 * Answers probes of the link to this host: counts the bytes that come and throws them away. Nothing of a
 * guest is touched. A peer costs one connection for the time limit, and there are few at once.
 */
export class ProbeAnswers {
  private readonly underWay = new Set<net.Socket>();

  constructor(private readonly clock: Clock) {}

  /** Takes over `socket`, whose `probe` named `bytes`. Throws PROBES_FULL, and then leaves it alone. */
  answer(socket: net.Socket, bytes: number): void {
    if (this.underWay.size >= MAX_PROBES) {
      throw new MigrationError({ code: "PROBES_FULL", limit: MAX_PROBES });
    }
    this.underWay.add(socket);
    socket.once("close", () => this.underWay.delete(socket));
    socket.on("error", () => {
      // The peer has gone, and nobody here waited for it; "close" follows.
    });
    socket.write(encodeMessage("probing", {}, 0));
    if (bytes === 0) this.finish(socket, 0, 0);
    else this.count(socket, bytes);
  }

  private count(socket: net.Socket, bytes: number): void {
    let receivedBytes = 0;
    let firstMs = 0;
    let lastMs = 0;
    const end = () => {
      clearTimeout(timer);
      socket.removeAllListeners("data");
      // Whoever sends more than it named has been heard all the same, and is not heard any longer.
      this.finish(socket, Math.min(receivedBytes, bytes), lastMs - firstMs);
    };
    const timer = setTimeout(end, PROBE_TIMEOUT_MS);
    socket.once("close", () => {
      clearTimeout(timer);
    });
    socket.on("data", (chunk: Buffer) => {
      lastMs = this.clock.nowMs();
      if (receivedBytes === 0) firstMs = lastMs;
      receivedBytes += chunk.byteLength;
      if (receivedBytes >= bytes) end();
    });
    socket.resume();
  }

  private finish(socket: net.Socket, receivedBytes: number, spanMs: number): void {
    // Who hears the answer may ask again at once.
    this.underWay.delete(socket);
    // Read on, so that we see it hang up; who goes on sending instead is cut off.
    socket.resume();
    socket.end(encodeMessage("probed", { receivedBytes, spanMs }, 1));
    destroyWithin(socket, CLOSE_LIMIT_MS);
  }
}
