import { timingSafeEqual } from "node:crypto";
import { Incoming } from "../dest/incoming.js";
import { type DestPhase, stageOf, tell } from "../dest/phase.js";
import { ProbeAnswers } from "../dest/probe-answers.js";
import { type Failure, MigrationError } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { loadProgram } from "../guest/load-program.js";
import { isRamSize, MAX_VCPUS, PAGE_BYTES } from "../memory/geometry.js";
import { encodeMessage } from "../protocol/codec.js";
import { MAX_INCOMING } from "../protocol/limits.js";
import type { MessageBody } from "../protocol/messages.js";
import { isVersionSupported, PROTOCOL_VERSION } from "../protocol/version.js";
import { ControlConnection } from "../transport/control-connection.js";
import { type Greeting, sayAndHangUp } from "../transport/greeter.js";
import { handOver } from "../transport/hand-over.js";
import { isTokenRight } from "../transport/token.js";
import { allocate, assertMemory } from "./allocate.js";
import type { HostContext } from "./context.js";
import { freeMemorySoon } from "./free-memory.js";
import { ProgressMeter } from "./progress-meter.js";
import { Resident } from "./resident.js";

/** The guests that are on their way to this host: answers greetings, and keeps what they lead to. */
export class Arrivals {
  private readonly incoming = new Map<string, Incoming>();
  private readonly probes: ProbeAnswers;

  constructor(private readonly context: HostContext) {
    this.probes = new ProbeAnswers(context.clock);
  }

  /** Throws a `MigrationError` for a greeting that is refused. */
  greet({ message, socket, decoder }: Greeting): void {
    const { version } = message.body;
    if (!isVersionSupported(version)) {
      const ours = PROTOCOL_VERSION;
      throw new MigrationError({ code: "VERSION_UNSUPPORTED", theirs: version, ours });
    }
    switch (message.name) {
      case "hello": {
        this.checkToken(message.body.token);
        const control = new ControlConnection(socket, "source", this.context.clock, decoder);
        void this.welcome(message.body, control);
        break;
      }
      case "attach": {
        const { migrationId, session, channel } = message.body;
        const incoming = this.find(migrationId, session);
        incoming.checkChannel(channel);
        incoming.adoptChannel(channel, handOver(socket));
        break;
      }
      case "ask": {
        this.checkToken(message.body.token);
        const answer = this.ownerOf(message.body);
        const { generation } = message.body;
        sayAndHangUp(socket, encodeMessage("owner", { generation, answer }, 0));
        break;
      }
      case "probe":
        this.checkToken(message.body.token);
        this.probes.answer(socket, message.body.bytes);
        break;
    }
  }

  /** Resolves when nothing comes any more for a guest that was left without some of its pages. Throws GUEST_BUSY for one that arrives. */
  async ended(guestId: string): Promise<void> {
    for (const incoming of this.coming(guestId)) {
      if (incoming.phase.name !== "stranded") {
        throw new MigrationError({ code: "GUEST_BUSY", guestId, state: "arriving" });
      }
      await incoming.closed;
    }
  }

  /** A guest that was left without some of its pages is gone now. */
  forget(guestId: string): void {
    for (const { migrationId } of this.coming(guestId)) {
      this.incoming.delete(migrationId);
      this.context.migrations.delete(migrationId);
    }
  }

  /** The host closes: what has not arrived will not. */
  abandon(failure: Failure): void {
    for (const incoming of this.incoming.values()) incoming.abandon(failure);
  }

  /** Memory that guests on their way here are still to take. */
  get promisedBytes(): number {
    return this.arriving()
      .filter(({ phase }) => phase.name !== "observing")
      .reduce((sum, { missingBytes }) => sum + missingBytes, 0);
  }

  private checkToken(token: string | null): void {
    if (isTokenRight(this.context.token, token)) return;
    throw new MigrationError({ code: "TOKEN_WRONG" });
  }

  /** Throws SESSION_UNKNOWN; an unknown migration and a wrong session look alike. */
  private find(migrationId: string, session: Uint8Array): Incoming {
    const incoming = this.incoming.get(migrationId);
    if (incoming !== undefined && timingSafeEqual(incoming.session, session)) return incoming;
    throw new MigrationError({ code: "SESSION_UNKNOWN" });
  }

  private async welcome(hello: MessageBody<"hello">, control: ControlConnection): Promise<void> {
    try {
      checkGeometry(hello);
      const spec = await loadSpec(hello);
      // Nothing below waits: what is found here holds until the migration is entered.
      if (control.failure !== null) throw new MigrationError(control.failure);
      this.checkRoom(hello);
      const incoming = this.receive(hello, spec, control);
      this.incoming.set(hello.migrationId, incoming);
      control.send("welcome", { version: PROTOCOL_VERSION, hostId: this.context.hostId });
    } catch (error) {
      if (!(error instanceof MigrationError)) throw error;
      void control.fail(error.failure);
      this.context.emitError(error.failure, hello.migrationId);
    }
  }

  /** Throws CHANNEL_TAKEN, HOST_FULL, GUEST_OWNED_HERE or MEMORY_SHORT. */
  private checkRoom({ migrationId, guestId, generation, ramBytes }: MessageBody<"hello">): void {
    if (this.incoming.has(migrationId)) {
      throw new MigrationError({ code: "CHANNEL_TAKEN", channel: "control" });
    }
    if (this.arriving().length >= MAX_INCOMING) {
      throw new MigrationError({ code: "HOST_FULL", limit: MAX_INCOMING });
    }
    const here = this.context.residents.get(guestId);
    const known = this.context.journal.find(guestId, generation);
    const isNews = known === undefined || known === "prepared";
    if (here !== undefined || !isNews || this.isComing(guestId)) {
      throw new MigrationError({
        code: "GUEST_OWNED_HERE",
        guestId,
        generation: here?.generation ?? generation,
      });
    }
    assertMemory(ramBytes, this.promisedBytes);
  }

  /** A guest that was left without some of its pages stays; it arrives no more. */
  private arriving(): readonly Incoming[] {
    return [...this.incoming.values()].filter(({ phase }) => phase.name !== "stranded");
  }

  private coming(guestId: string): readonly Incoming[] {
    return [...this.incoming.values()].filter(({ spec }) => spec.guestId === guestId);
  }

  private isComing(guestId: string): boolean {
    return this.coming(guestId).length > 0;
  }

  private receive(
    hello: MessageBody<"hello">,
    spec: GuestSpec,
    control: ControlConnection,
  ): Incoming {
    const { context } = this;
    const { migrationId } = hello;
    const meter = new ProgressMeter(migrationId, "incoming", context.clock);
    const incoming: Incoming = new Incoming(hello, spec, allocate(spec), control, {
      clock: context.clock,
      journal: (kind) => {
        context.journal.write(spec.guestId, hello.generation, kind);
      },
      phaseChanged: (phase) => {
        this.follow(incoming, phase);
      },
      progressed: (progress) => {
        context.emitProgress(meter.measure(progress));
      },
      guestFailed: (failure) => {
        context.guestFailed(spec.guestId, failure);
      },
      reported: (report) => {
        context.emit(report);
      },
    });
    this.tellPhase(incoming, incoming.phase);
    return incoming;
  }

  /** What a phase means for the guest's place on this host. */
  private follow(incoming: Incoming, phase: DestPhase): void {
    const { context } = this;
    const { guestId } = incoming.spec;
    context.enter(stageOf(phase));
    switch (phase.name) {
      case "receiving":
      case "ready":
        break;
      case "resuming":
        this.settle(incoming, phase.generation);
        break;
      case "filling":
        break;
      case "observing":
        this.complete(guestId);
        break;
      case "stranded":
        context.residents.get(guestId)?.become("stranded");
        context.emitError(phase.cause, incoming.migrationId);
        break;
      case "ended":
        this.incoming.delete(incoming.migrationId);
        if (phase.guestIsHere) this.complete(guestId);
        else if (phase.cause !== null) context.emitError(phase.cause, incoming.migrationId);
        if (!phase.guestIsHere) freeMemorySoon(incoming.ram);
        break;
    }
    this.tellPhase(incoming, phase);
    if (phase.name !== "ended") return;
    context.migrations.delete(incoming.migrationId);
    context.onSettled();
  }

  /** Every page is here. By now it may be paused again, or on its way to the next host. */
  private complete(guestId: string): void {
    const resident = this.context.residents.get(guestId);
    if (resident === undefined) return;
    if (resident.state === "arriving" || resident.state === "stranded") resident.become("running");
  }

  /** The guest is this host's from now on. */
  private settle(incoming: Incoming, generation: number): void {
    const { guest, throughput } = incoming;
    if (guest === undefined || throughput === undefined) return;
    const resident = new Resident(
      guest,
      throughput,
      generation,
      "arriving",
      (event) => {
        this.context.emit(event);
      },
      this.context.clock,
    );
    this.context.residents.set(resident.guestId, resident);
  }

  private tellPhase({ migrationId, spec }: Incoming, phase: DestPhase): void {
    this.context.emitPhase({
      event: "phase",
      migrationId,
      direction: "incoming",
      guestId: spec.guestId,
      guest: spec.name,
      phase: phase.name,
      stage: stageOf(phase),
      text: tell(phase),
    });
  }

  /**
   * Answers a source in doubt. "Refused" is a promise: it is journalled first, and a migration that is still
   * waiting for its switchover ends here, so that none can come after it. A host that never was `prepared` for the guest
   * cannot be the one that it was handed to, or has lost its journal: then it has nothing to promise. Throws SESSION_UNKNOWN
   * for who is not the source of the migration that is under way.
   */
  private ownerOf(question: MessageBody<"ask">): MessageBody<"owner">["answer"] {
    const { guestId, generation, migrationId } = question;
    const isUnderWay = this.incoming.has(migrationId) || this.isComing(guestId);
    const incoming = isUnderWay ? this.find(migrationId, question.session) : undefined;
    if (incoming?.hasTakenOver === true) return "running";
    const known = this.context.journal.find(guestId, generation);
    if (known === "refused") return "refused";
    if (known === undefined && incoming === undefined) return "unknown";
    if (known !== undefined && known !== "prepared") {
      // From here it may have gone on to another host, which runs it.
      const lives =
        this.context.residents.has(guestId) || this.context.journal.hasMovedOn(guestId, generation);
      return lives ? "running" : "lost";
    }
    incoming?.abandon({ code: "CANCELLED", by: "the source, which asked who owns the guest" });
    this.context.journal.refuse(guestId, generation);
    return "refused";
  }
}

/** Throws GEOMETRY_REFUSED. */
function checkGeometry({ ramBytes, pageBytes, vcpuCount }: MessageBody<"hello">): void {
  if (pageBytes !== PAGE_BYTES) {
    refuseGeometry(`its pages have ${String(pageBytes)} bytes, ours have ${String(PAGE_BYTES)}`);
  }
  if (!isRamSize(ramBytes)) {
    refuseGeometry(
      `${String(ramBytes)} bytes of memory; it must be whole 64 KiB units, at most 4 GiB`,
    );
  }
  if (vcpuCount < 1 || vcpuCount > MAX_VCPUS) {
    refuseGeometry(`${String(vcpuCount)} vCPUs; 1 to ${String(MAX_VCPUS)} are possible`);
  }
}

/** Throws as `loadProgram` does. */
async function loadSpec(hello: MessageBody<"hello">): Promise<GuestSpec> {
  const { program, source, sha256 } = await loadProgram(hello.program, hello.programSha256);
  return {
    guestId: hello.guestId,
    name: program.name,
    program: source,
    programSha256: sha256,
    options: hello.options,
    ramBytes: hello.ramBytes,
    vcpuCount: hello.vcpuCount,
  };
}

function refuseGeometry(detail: string): never {
  throw new MigrationError({ code: "GEOMETRY_REFUSED", detail });
}
