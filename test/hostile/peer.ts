import { createHash, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { decodeMessage, encodeMessage, packCpu } from "../../src/protocol/codec.js";
import { encodeFrame, type Frame, FrameDecoder } from "../../src/protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../../src/protocol/limits.js";
import {
  type MessageBody,
  type MessageName,
  MESSAGES,
  type Sender,
  type WirePhase,
} from "../../src/protocol/messages.js";
import {
  encodeWords,
  FRAME_TYPES,
  PageTable,
  PURPOSE,
  type Purpose,
  RUN_KIND,
} from "../../src/protocol/pages.js";
import { PROTOCOL_VERSION } from "../../src/protocol/version.js";
import type { Address } from "../../src/transport/address.js";
import { DEADLINE_MS } from "../process/daemon.js";

export const RAM_BYTES = 64 * 1024;
export const PAGE_COUNT = RAM_BYTES / 4096;

/** Something that others wait for, but not for ever. */
class Watched {
  private readonly watchers = new Set<() => void>();

  /** To be called whenever there may be something to find. */
  look(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  /** What `find` finds, now or later; fails with `problem` when the deadline passes before. */
  until<Found>(problem: string, find: () => { found: Found } | undefined): Promise<Found> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const answer = find();
        if (answer === undefined) return;
        clearTimeout(timer);
        this.watchers.delete(check);
        resolve(answer.found);
      };
      const timer = setTimeout(() => {
        this.watchers.delete(check);
        reject(new Error(`${problem} within the deadline`));
      }, DEADLINE_MS);
      this.watchers.add(check);
      check();
    });
  }
}

/** One end of a connection, in the hand of a test: says what it likes, when it likes. */
export class Peer implements Disposable {
  private readonly frames: Frame[] = [];
  private readonly came = new Watched();
  private readonly decoder = new FrameDecoder(MAX_CONTROL_BYTES);
  private sequence = 0;
  private ended = false;

  constructor(
    readonly socket: net.Socket,
    private readonly them: Sender,
  ) {
    socket.setNoDelay(true);
    socket.on("error", () => undefined); // A host may well hang up on us.
    socket.on("data", (chunk: Buffer) => {
      this.frames.push(...this.decoder.push(chunk));
      this.came.look();
    });
    socket.on("close", () => {
      this.ended = true;
      this.came.look();
    });
  }

  static async connect(address: Address): Promise<Peer> {
    const socket = net.connect({ ...address });
    await once(socket, "connect");
    return new Peer(socket, "dest");
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  say<Name extends MessageName>(name: Name, body: MessageBody<Name>): void {
    this.write(encodeMessage(name, body, this.sequence));
  }

  /** A frame of the next sequence number, whatever its type and body. */
  sayFrame(type: number, body: Uint8Array, flags = 0): void {
    this.write(encodeFrame(type, this.sequence, body, flags));
  }

  sayWords(type: number, ...words: readonly number[]): void {
    this.write(encodeWords(type, this.sequence, words));
  }

  /** Pages of zeros' opposite: each has 4096 bytes of `fill`, and checksums that are all wrong. */
  sayPages(purpose: Purpose, pages: readonly number[], fill = 0xff): void {
    const table = new PageTable();
    for (const page of pages) table.add(page, RUN_KIND.DATA);
    const front = table.bytes(purpose, 1, this.sequence);
    this.write(Buffer.concat([front, Buffer.alloc(pages.length * 4096, fill)]));
  }

  sayZeroPages(purpose: Purpose, firstPage: number, pageCount: number): void {
    const table = new PageTable();
    for (let page = firstPage; page < firstPage + pageCount; page += 1) {
      table.add(page, RUN_KIND.ZERO);
    }
    this.write(table.bytes(purpose, 1, this.sequence));
  }

  /** Bytes as they are; the next frame's sequence number goes on from there. */
  write(bytes: Uint8Array): void {
    this.sequence += 1;
    this.socket.write(bytes);
  }

  /** The next frame of the host; undefined when it has hung up. */
  next(): Promise<Frame | undefined> {
    return this.came.until("the host neither spoke nor hung up", () => {
      const frame = this.frames.shift();
      if (frame === undefined && !this.ended) return undefined;
      return { found: frame };
    });
  }

  /** The next message of that name, past any other frames; fails when the host hangs up before. */
  async hear<Name extends MessageName>(name: Name, phase: WirePhase): Promise<MessageBody<Name>> {
    const frame = await this.hearFrame(MESSAGES[name].id);
    return decodeMessage(frame, this.them, phase).body as MessageBody<Name>;
  }

  /** The next frame of that type, past any others; fails when the host hangs up before. */
  async hearFrame(type: number): Promise<Frame> {
    for (;;) {
      const frame = await this.next();
      if (frame === undefined) throw new Error(`the host hung up before a frame ${String(type)}`);
      if (frame.type === type) return frame;
    }
  }

  /** What has come and was not asked for. */
  get unheard(): readonly Frame[] {
    return this.frames;
  }

  /** Resolves when the host has hung up; what it said before is `frames`. */
  async hungUp(): Promise<readonly Frame[]> {
    const said: Frame[] = [];
    for (;;) {
      const frame = await this.next();
      if (frame === undefined) return said;
      said.push(frame);
    }
  }
}

/** What a source says first; `changes` make it hostile. */
export function helloBody(changes: Partial<MessageBody<"hello">> = {}): MessageBody<"hello"> {
  return {
    version: PROTOCOL_VERSION,
    migrationId: randomUUID(),
    session: new Uint8Array(randomBytes(32)),
    token: null,
    guestId: randomUUID().slice(0, 8),
    program: "builtin:idle",
    programSha256: null,
    options: {},
    ramBytes: RAM_BYTES,
    pageBytes: 4096,
    vcpuCount: 1,
    generation: 2,
    channels: 1,
    checksums: true,
    ...changes,
  };
}

/** For a hello: the guest of the module at `path`, which is the same on both hosts. */
export function moduleAt(path: string) {
  const programSha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
  return { program: path, programSha256 };
}

/** A source that has come some way into a migration, and may turn hostile from there. */
export class HostileSource implements Disposable {
  private readonly channels: Peer[] = [];

  private constructor(
    private readonly address: Address,
    readonly hello: MessageBody<"hello">,
    readonly control: Peer,
  ) {}

  /** Is welcome. */
  static async greet(
    address: Address,
    changes: Partial<MessageBody<"hello">> = {},
  ): Promise<HostileSource> {
    const hello = helloBody(changes);
    const control = await Peer.connect(address);
    control.say("hello", hello);
    await control.hear("welcome", "greeting");
    return new HostileSource(address, hello, control);
  }

  async attach(channel: string): Promise<Peer> {
    const peer = await Peer.connect(this.address);
    this.channels.push(peer);
    const { version, migrationId, session } = this.hello;
    peer.say("attach", { version, migrationId, session, channel });
    await peer.hearFrame(FRAME_TYPES.ATTACHED);
    return peer;
  }

  /** Goes through stage one: every page is zero. Resolves with the bulk channel. */
  async copy(): Promise<Peer> {
    const bulk = await this.attach("bulk-0");
    this.control.say("prepare", {});
    bulk.sayZeroPages(PURPOSE.PASS, 0, PAGE_COUNT);
    bulk.sayWords(FRAME_TYPES.BARRIER, 1);
    await bulk.hearFrame(FRAME_TYPES.BARRIER_PASSED);
    await this.control.hear("prepared", "copying");
    return bulk;
  }

  /** Hands the guest over; `dirty` are the pages that it lacks. */
  switchOver(dirty: readonly number[], changes: Partial<MessageBody<"switchover">> = {}): void {
    this.control.say("switchover", {
      generation: this.hello.generation,
      cpus: [packCpu({ ticks: 0 })],
      operations: [0],
      dirty: bitmap(dirty),
      ...changes,
    });
  }

  [Symbol.dispose](): void {
    this.control[Symbol.dispose]();
    for (const channel of this.channels) channel[Symbol.dispose]();
  }
}

function bitmap(pages: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  for (const page of pages) bytes[page >> 3]! |= 1 << (page & 7);
  return bytes;
}

/** A destination that a real source connects to, and that may turn hostile at any time. */
export class HostileDest implements AsyncDisposable {
  private readonly waiting: Peer[] = [];
  private readonly peers: Peer[] = [];
  private readonly came = new Watched();

  private constructor(private readonly server: net.Server) {
    server.on("connection", (socket) => {
      const peer = new Peer(socket, "source");
      this.peers.push(peer);
      this.waiting.push(peer);
      this.came.look();
    });
  }

  static async open(): Promise<HostileDest> {
    const server = net.createServer();
    server.listen({ host: "127.0.0.1", port: 0 });
    await once(server, "listening");
    return new HostileDest(server);
  }

  get address(): Address {
    return { host: "127.0.0.1", port: (this.server.address() as net.AddressInfo).port };
  }

  /** The next connection. */
  accept(): Promise<Peer> {
    return this.came.until("the host made no connection", () => {
      const peer = this.waiting.shift();
      return peer === undefined ? undefined : { found: peer };
    });
  }

  /** The next connection, which begins a migration; its source is welcome. */
  async welcome(): Promise<Peer> {
    const control = await this.accept();
    await control.hear("hello", "greeting");
    control.say("welcome", { version: PROTOCOL_VERSION, hostId: "hostile" });
    return control;
  }

  /** The next `count` connections, by channel name; they wait to hear that they are attached. */
  async applicants(count: number): Promise<Map<string, Peer>> {
    const channels = new Map<string, Peer>();
    for (let index = 0; index < count; index += 1) {
      const peer = await this.accept();
      channels.set((await peer.hear("attach", "greeting")).channel, peer);
    }
    return channels;
  }

  /** The same, attached. */
  async attach(count: number): Promise<Map<string, Peer>> {
    const channels = await this.applicants(count);
    for (const peer of channels.values()) peer.sayWords(FRAME_TYPES.ATTACHED);
    return channels;
  }

  /** The end of the server and of every connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) peer[Symbol.dispose]();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
