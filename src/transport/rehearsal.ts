import { randomBytes, timingSafeEqual } from "node:crypto";
import { monotonicClock } from "../clock.js";
import { type Failure, MigrationError } from "../failure.js";
import { encodeMessage } from "../protocol/codec.js";
import type { WirePhase } from "../protocol/messages.js";
import { PROTOCOL_VERSION } from "../protocol/version.js";
import type { Address } from "./address.js";
import { connect } from "./connect.js";
import { ControlConnection } from "./control-connection.js";
import { type Greeting, openGreeter } from "./greeter.js";

/** After so many nothing on the way becomes much faster. */
const MEETINGS = 8;
const ANY_LOCAL_PORT: Address = { host: "127.0.0.1", port: 0 };

/**
 * Both ends of nobody's migration meet within this process, and come as far as a source and a destination do before the first page:
 * hello and welcome, a channel, and the word to prepare. Code that runs for the first time takes several times as long, and
 * there it was most of the time. Where that cannot be, as without a loopback, nothing is rehearsed.
 */
export async function* rehearsal(): AsyncGenerator<void> {
  const meetings = new Meetings();
  try {
    await meetings.open();
    for (let meeting = 0; meeting < MEETINGS; meeting += 1) {
      yield;
      await meetings.meet();
    }
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
  } finally {
    meetings.close();
  }
}

class Meetings {
  private readonly attachment = {
    version: PROTOCOL_VERSION,
    migrationId: "nobody",
    session: new Uint8Array(randomBytes(32)),
  };
  private address = ANY_LOCAL_PORT;
  private greeted: (greeting: Greeting) => void = () => undefined;
  private refused: (failure: Failure) => void = () => undefined;
  close: () => void = () => undefined;

  /** Rejects with CANNOT_LISTEN. */
  async open(): Promise<void> {
    const take = (greeting: Greeting) => {
      const { body } = greeting.message;
      const isOurs = "session" in body && timingSafeEqual(body.session, this.attachment.session);
      if (isOurs) this.greeted(greeting);
      else greeting.socket.destroy();
    };
    const greeter = await openGreeter(ANY_LOCAL_PORT, take, (failure) => {
      this.refused(failure);
    });
    this.address = greeter.address;
    this.close = () => {
      greeter.close();
    };
  }

  /** Rejects with CANNOT_CONNECT. */
  async meet(): Promise<void> {
    const { attachment, address } = this;
    const greeting = this.nextGreeting();
    const source = new End(new ControlConnection(await connect(address), "dest", monotonicClock));
    source.control.send("hello", {
      ...attachment,
      token: null,
      guestId: "nobody",
      program: "builtin:idle",
      programSha256: null,
      options: { rate: "1" },
      ramBytes: 2 ** 30,
      pageBytes: 4096,
      vcpuCount: 1,
      generation: 1,
      channels: 1,
      checksums: true,
    });
    const { socket, decoder } = await greeting;
    const dest = new End(new ControlConnection(socket, "source", monotonicClock, decoder));
    dest.phase = "copying";
    const welcomed = source.heard();
    dest.control.send("welcome", { version: PROTOCOL_VERSION, hostId: "nobody" });
    await welcomed;
    source.phase = "copying";
    await this.attach();
    const asked = dest.heard();
    source.control.send("prepare", {});
    await asked;
    const prepared = source.heard();
    dest.control.send("prepared", {});
    await prepared;
    await Promise.all([source.control.close(), dest.control.close()]);
  }

  private async attach(): Promise<void> {
    const greeting = this.nextGreeting();
    const channel = await connect(this.address);
    channel.on("error", () => undefined);
    channel.write(encodeMessage("attach", { ...this.attachment, channel: "bulk-0" }, 0));
    (await greeting).socket.destroy();
    channel.destroy();
  }

  /** To be called before it can come. Rejects with why something was refused, which may be before anybody waits for it. */
  private nextGreeting(): Promise<Greeting> {
    const greeting = new Promise<Greeting>((resolve, reject) => {
      this.greeted = resolve;
      this.refused = (failure) => {
        reject(new MigrationError(failure));
      };
    });
    greeting.catch(() => undefined);
    return greeting;
  }
}

/** One side of a control connection. */
class End {
  phase: WirePhase = "greeting";
  private hear: (failure?: Failure) => void = () => undefined;

  constructor(readonly control: ControlConnection) {
    control.attend({
      phase: () => this.phase,
      message: () => {
        this.hear();
      },
      lost: (failure) => {
        this.hear(failure);
      },
    });
  }

  /** Resolves when the next message comes. Rejects when there will be none. */
  heard(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.hear = (failure) => {
        if (failure === undefined) resolve();
        else reject(new MigrationError(failure));
      };
    });
  }
}
