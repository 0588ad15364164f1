import type net from "node:net";
import type { Clock } from "../clock.js";
import { describe, type Failure, MigrationError } from "../failure.js";
import { decodeMessage, encodeMessage } from "../protocol/codec.js";
import { type Frame, FrameDecoder, nextSequence } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import type { Message, MessageBody, MessageName, Sender, WirePhase } from "../protocol/messages.js";
import { ClockComparison } from "./clock-comparison.js";
import { destroyWithin } from "./destroy-within.js";

/** Often: the more pings, the likelier one that nothing delayed, and by that one clocks are compared. */
const PING_INTERVAL_MS = 50;
/** Control messages are few and small, so a link that is merely busy still carries one in this time. */
const SILENCE_LIMIT_MS = 10_000;

/** After this side has closed: for a peer that is quiet, and for one that goes on talking. A long report may take as long. */
const QUIET_LIMIT_MS = 1000;
const CLOSE_LIMIT_MS = 10_000;

export interface ControlHandler {
  /** Where this side stands, for the check of each message. */
  phase(): WirePhase;
  message(message: Message): void;
  /** The connection ended; called once, and not after `close`. */
  lost(failure: Failure): void;
}

/**
 * The control connection of a migration, as both sides see it: checked messages, an answer to every
 * ping, and the word that the other side is gone.
 */
export class ControlConnection {
  readonly clocks = new ClockComparison();
  private sequence = 0;
  private heardMs: number;
  private ended = false;
  private cause: Failure | null = null;
  private readonly timer: NodeJS.Timeout;
  private handler: ControlHandler | undefined;

  /** Takes over `socket` and `decoder`, which may have read the greeting already. */
  constructor(
    private readonly socket: net.Socket,
    private readonly them: Sender,
    private readonly clock: Clock,
    private readonly decoder = new FrameDecoder(MAX_CONTROL_BYTES),
  ) {
    this.heardMs = clock.nowMs();
    decoder.limitBytes = MAX_CONTROL_BYTES;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.receive(chunk);
    });
    // It was paused if somebody read the greeting before us.
    socket.resume();
    socket.on("error", (error) => {
      this.lose(error.message);
    });
    socket.on("end", () => {
      this.lose("the other side closed it");
    });
    socket.on("close", () => {
      this.lose("it was closed");
    });
    this.timer = setInterval(() => {
      this.tick();
    }, PING_INTERVAL_MS);
    this.timer.unref();
  }

  /** Bytes sent and received on this connection. */
  get wireBytes(): number {
    return this.socket.bytesWritten + this.socket.bytesRead;
  }

  /** Why it ended, unless this side closed it: for who attends to it late. */
  get failure(): Failure | null {
    return this.cause;
  }

  /** From now on messages and the end of the connection go to `handler`. */
  attend(handler: ControlHandler): void {
    this.handler = handler;
  }

  send<Name extends MessageName>(name: Name, body: MessageBody<Name>): void {
    if (this.ended) return;
    this.socket.write(encodeMessage(name, body, this.sequence));
    this.sequence = nextSequence(this.sequence);
  }

  /** Tells the other side why, then closes as `close` does. */
  fail(failure: Failure): Promise<void> {
    this.send("failed", { code: failure.code, text: describe(failure) });
    return this.close();
  }

  /** Sends what is queued, then closes; idempotent. Resolves when the other side has closed as well. */
  close(): Promise<void> {
    this.ended = true;
    clearInterval(this.timer);
    this.socket.end();
    // A peer that never closes its side must not keep ours open.
    this.socket.setTimeout(QUIET_LIMIT_MS, () => this.socket.destroy());
    destroyWithin(this.socket, CLOSE_LIMIT_MS);
    this.socket.unref();
    if (this.socket.closed) return Promise.resolve();
    return new Promise((resolve) => this.socket.once("close", resolve));
  }

  private receive(chunk: Uint8Array): void {
    this.heardMs = this.clock.nowMs();
    try {
      for (const frame of this.decoder.push(chunk)) {
        if (this.ended) return;
        this.take(frame);
      }
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      this.cause = error.failure;
      void this.fail(error.failure);
      this.handler?.lost(error.failure);
    }
  }

  private take(frame: Frame): void {
    const phase = this.handler?.phase() ?? "greeting";
    const message = decodeMessage(frame, this.them, phase);
    if (message.name === "ping") {
      this.send("pong", { sentMs: message.body.sentMs, receivedMs: this.clock.nowMs() });
    } else if (message.name === "pong") {
      const { sentMs, receivedMs } = message.body;
      this.clocks.observe(sentMs, receivedMs, this.clock.nowMs());
    } else {
      this.handler?.message(message);
    }
  }

  private tick(): void {
    const nowMs = this.clock.nowMs();
    const silentMs = nowMs - this.heardMs;
    if (silentMs > SILENCE_LIMIT_MS) {
      this.end({ code: "PEER_SILENT", connection: "control", silentMs });
    } else if (this.handler !== undefined && this.handler.phase() !== "greeting") {
      this.send("ping", { sentMs: nowMs });
    }
  }

  private lose(cause: string): void {
    this.end({ code: "CONNECTION_LOST", connection: "control", cause });
  }

  private end(failure: Failure): void {
    if (this.ended) return;
    this.ended = true;
    this.cause = failure;
    clearInterval(this.timer);
    this.socket.destroy();
    this.handler?.lost(failure);
  }
}
