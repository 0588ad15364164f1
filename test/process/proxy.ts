import net from "node:net";
import { decodeMessage } from "../../src/protocol/codec.js";
import { encodeFrame, type Frame, FrameDecoder } from "../../src/protocol/frame.js";
import { type MessageName, MESSAGES } from "../../src/protocol/messages.js";
import { FRAME_TYPES, MAX_PAGES_FRAME_BYTES } from "../../src/protocol/pages.js";
import type { Address } from "../../src/transport/address.js";
import { DEADLINE_MS } from "./daemon.js";

type FrameName = MessageName | keyof typeof FRAME_TYPES;

/** A frame on its way through the proxy. */
export interface Passage {
  /** What its connection carries: `control`, `ask`, or the name of a channel, as `bulk-0`. */
  readonly connection: string;
  readonly from: "source" | "dest";
  readonly name: FrameName;
  readonly frame: Frame;
}

/**
 * What becomes of a frame. `cut` breaks every connection before it has passed; `drop` swallows it; another
 * body takes its body's place.
 */
export type Verdict = "pass" | "drop" | "cut" | { readonly body: Uint8Array };

export type Judge = (passage: Passage) => Verdict;

const NAMES = new Map<number, FrameName>([
  ...Object.entries(MESSAGES).map(([name, { id }]) => [id, name as FrameName] as const),
  ...Object.entries(FRAME_TYPES).map(([name, id]) => [id, name as FrameName] as const),
]);

/** Frames that wait for their time in one direction of one connection, in order. */
class Lane {
  private readonly waiting: { readonly dueMs: number; readonly bytes: Uint8Array | "end" }[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly link: Link,
    private readonly out: net.Socket,
  ) {}

  send(bytes: Uint8Array): void {
    this.waiting.push({ dueMs: this.link.dueMs(bytes.byteLength), bytes });
    this.drain();
  }

  /** The connection ends here, after what was sent. */
  end(): void {
    this.waiting.push({ dueMs: this.link.dueMs(0), bytes: "end" });
    this.drain();
  }

  drain(): void {
    clearTimeout(this.timer);
    for (;;) {
      const [next] = this.waiting;
      if (next === undefined || this.link.isStalled) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.timer = setTimeout(() => {
          this.drain();
        }, waitMs);
        return;
      }
      this.waiting.shift();
      if (next.bytes === "end") this.out.end();
      else if (!this.out.destroyed) this.out.write(next.bytes);
    }
  }

  stop(): void {
    clearTimeout(this.timer);
    this.waiting.length = 0;
  }
}

/** The link that the proxy plays: what holds for all of its connections. */
class Link {
  delayMs = 0;
  bytesPerSecond = Number.POSITIVE_INFINITY;
  isStalled = false;
  private freeAtMs = 0;

  /** When a frame of so many bytes that is sent now arrives. */
  dueMs(bytes: number): number {
    this.freeAtMs =
      Math.max(this.freeAtMs, performance.now()) + (bytes / this.bytesPerSecond) * 1000;
    return this.freeAtMs + this.delayMs;
  }
}

/** Two sockets, and the frames between them. */
class Connection {
  readonly lanes: readonly Lane[];
  private name: string | undefined;

  constructor(
    private readonly proxy: Proxy,
    link: Link,
    private readonly source: net.Socket,
    private readonly dest: net.Socket,
  ) {
    const toDest = new Lane(link, dest);
    const toSource = new Lane(link, source);
    this.lanes = [toDest, toSource];
    this.carry("source", source, toDest);
    this.carry("dest", dest, toSource);
    for (const [one, lane] of [
      [source, toDest],
      [dest, toSource],
    ] as const) {
      one.on("error", () => undefined); // Cutting is what it is for.
      one.on("end", () => {
        lane.end();
      });
      one.on("close", (failed) => {
        if (failed) this.cut();
        if (source.destroyed && dest.destroyed) this.proxy.forget(this);
      });
    }
  }

  /** As when a cable is pulled and the system gives up: a reset to both sides. */
  cut(): void {
    for (const lane of this.lanes) lane.stop();
    for (const socket of [this.source, this.dest]) {
      // A reset of a socket that is connecting or shutting down would never end in Node.js 20.
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else if (!socket.destroyed) socket.resetAndDestroy();
    }
  }

  private carry(from: "source" | "dest", socket: net.Socket, lane: Lane): void {
    const decoder = new FrameDecoder(MAX_PAGES_FRAME_BYTES);
    socket.on("data", (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        if (!this.pass(from, frame, lane)) return;
      }
    });
  }

  /** False when the connection is cut now. */
  private pass(from: "source" | "dest", frame: Frame, lane: Lane): boolean {
    if (this.name === undefined) this.introduce(frame);
    const name = NAMES.get(frame.type);
    if (name === undefined) throw new Error(`frame type ${String(frame.type)} in the proxy`);
    const passage = { connection: this.name ?? "?", from, name, frame };
    const verdict = this.proxy.judge(passage);
    if (verdict === "cut") {
      this.proxy.cut();
      return false;
    }
    if (verdict !== "drop") {
      const body = typeof verdict === "object" ? verdict.body : frame.body;
      lane.send(encodeFrame(frame.type, frame.sequence, body, frame.flags));
    }
    this.proxy.note(passage);
    return true;
  }

  private introduce(frame: Frame): void {
    const { name, body } = decodeMessage(frame, "source", "greeting");
    this.name = name === "hello" ? "control" : name === "attach" ? body.channel : name;
  }
}

/** A TCP link between hosts that does what a test tells it to: see `Judge`. Listens on a free port. */
export class Proxy implements AsyncDisposable {
  /** Decides on each frame; may be replaced at any time. */
  judge: Judge = () => "pass";
  /** New connections are closed at once, as by a host that is gone. */
  refuses = false;
  private readonly link = new Link();
  private readonly connections = new Set<Connection>();
  private readonly passed: Passage[] = [];
  private readonly watchers = new Set<() => void>();

  private constructor(
    private readonly server: net.Server,
    private target: Address,
  ) {
    server.on("connection", (source) => {
      if (this.refuses) {
        source.on("error", () => undefined);
        source.resetAndDestroy();
        return;
      }
      // An end is passed on like anything else, not answered by the proxy.
      const dest = net.connect({ ...this.target, noDelay: true, allowHalfOpen: true });
      source.setNoDelay(true);
      this.connections.add(new Connection(this, this.link, source, dest));
    });
  }

  static open(target: Address): Promise<Proxy> {
    return new Promise((resolve) => {
      const server = net.createServer({ allowHalfOpen: true });
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        resolve(new Proxy(server, target));
      });
    });
  }

  /** Where to connect instead of the target. */
  get address(): Address {
    const { port } = this.server.address() as net.AddressInfo;
    return { host: "127.0.0.1", port };
  }

  /** What a link is like: see the fields' names. Holds for what is sent from now on. */
  shape(shape: Partial<Pick<Link, "delayMs" | "bytesPerSecond">>): void {
    Object.assign(this.link, shape);
  }

  /** Nothing arrives any more, and no connection breaks. */
  stall(): void {
    this.link.isStalled = true;
  }

  unstall(): void {
    this.link.isStalled = false;
    for (const { lanes } of this.connections) for (const lane of lanes) lane.drain();
  }

  /** Breaks every connection. */
  cut(): void {
    for (const connection of [...this.connections]) connection.cut();
  }

  /** Frames of that name that have passed. */
  passages(name: FrameName): Passage[] {
    return this.passed.filter((passage) => passage.name === name);
  }

  /** Resolves with the first frame of that name that has passed. */
  passage(name: FrameName): Promise<Passage> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.passed.find((passage) => passage.name === name);
        if (found === undefined) return;
        this.watchers.delete(look);
        clearTimeout(timer);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.watchers.delete(look);
        reject(new Error(`no ${name} frame has passed within the deadline`));
      }, DEADLINE_MS);
      this.watchers.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** A frame has passed. For connections. */
  note(passage: Passage): void {
    // Contents are not kept: a migration has many.
    const body = passage.frame.body.slice(0, 0);
    this.passed.push({ ...passage, frame: { ...passage.frame, body } });
    for (const watcher of [...this.watchers]) watcher();
  }

  /** A connection has ended. For connections. */
  forget(connection: Connection): void {
    for (const lane of connection.lanes) lane.stop();
    this.connections.delete(connection);
  }
}
