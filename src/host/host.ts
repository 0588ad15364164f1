import { randomUUID } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import type { Logger } from "pino";
import { monotonicClock } from "../clock.js";
import { describe, type Failure, MigrationError } from "../failure.js";
import { Guest, type GuestSpec } from "../guest/guest.js";
import { loadProgram } from "../guest/load-program.js";
import type { GuestOptions } from "../guest/program.js";
import { ThroughputRecorder } from "../guest/throughput.js";
import { isRamSize, MAX_VCPUS } from "../memory/geometry.js";
import { returnFreedMemory } from "../platform/malloc.js";
import { type Address, formatAddress, isLoopback } from "../transport/address.js";
import { type Greeter, openGreeter } from "../transport/greeter.js";
import { allocate, assertMemory } from "./allocate.js";
import { Arrivals } from "./arrivals.js";
import { HostContext } from "./context.js";
import { freeMemorySoon } from "./free-memory.js";
import { defaultChannels, Departures } from "./departures.js";
import { estimateFor } from "./estimates.js";
import type { EstimateEvent, GuestDigest, HostState, Told } from "./events.js";
import { Journal } from "./journal.js";
import { Resident } from "./resident.js";
import {
  ASK_MS,
  type DiscardRequest,
  type EstimateRequest,
  type HostService,
  type MigrateRequest,
  type ResumeRequest,
} from "./service.js";
import { Readiness } from "./readiness.js";
import { RELEASE } from "./release.js";

/** Of a journal that is not locked. */
const UNGUARDED =
  "nothing keeps another host from using this journal: its disk has no locks, or koffi is not installed; " +
  "give each host a state directory of its own, or install koffi";

export interface HostOptions {
  /** Where guests may arrive; null for nowhere. Port 0 takes any free port. */
  readonly listen: Address | null;
  /** Demanded of whoever connects, and presented to other hosts. */
  readonly token: string | null;
  /** Accepts anyone, on any address. */
  readonly insecure: boolean;
  /** Holds the ownership journal. */
  readonly stateDirectory: string;
  readonly logger: Logger;
  /** Milliseconds that a source in doubt asks; 30 s unless told otherwise. */
  readonly askMs?: number;
}

export interface BootRequest {
  /** The name of a built-in guest, or the path of a module. */
  readonly program: string;
  readonly options: GuestOptions;
  readonly memoryBytes: number;
  readonly vcpuCount: number;
}

/** One process that guests are born on, arrive at and leave. */
export class Host implements HostService, AsyncDisposable {
  private readonly arrivals: Arrivals;
  private readonly departures: Departures;
  private readonly readiness: Readiness;
  private greeter: Greeter | undefined;
  private closed = false;

  private constructor(
    private readonly context: HostContext,
    askMs: number,
  ) {
    this.arrivals = new Arrivals(context);
    const channels = defaultChannels(availableParallelism());
    this.departures = new Departures(context, askMs, channels);
    this.readiness = new Readiness(channels);
    context.onSettled = () => {
      this.getReady();
    };
  }

  /** Opens the journal and listens. Rejects with JOURNAL_UNUSABLE, JOURNAL_IN_USE, LISTENS_OPENLY or CANNOT_LISTEN. */
  static async open(options: HostOptions): Promise<Host> {
    const { listen, token, insecure, logger } = options;
    if (listen !== null && !isLoopback(listen.host) && token === null && !insecure) {
      throw new MigrationError({ code: "LISTENS_OPENLY", address: formatAddress(listen) });
    }
    returnFreedMemory();
    const hostId = `${hostname().slice(0, 48)}-${String(process.pid)}`;
    const journal = Journal.open(options.stateDirectory);
    if (!journal.isLocked) logger.warn({ path: journal.path }, UNGUARDED);
    const context = new HostContext(hostId, monotonicClock, logger, journal, token);
    const host = new Host(context, options.askMs ?? ASK_MS);
    try {
      if (listen !== null) await host.listen(listen);
    } catch (error) {
      journal.close();
      throw error;
    }
    return host;
  }

  get id(): string {
    return this.context.hostId;
  }

  /** Where guests may arrive, with the real port. */
  get address(): Address | null {
    return this.greeter?.address ?? null;
  }

  /**
   * A guest is born here and runs. Rejects with GUEST_UNKNOWN, GUEST_MODULE_…, GUEST_SETTING,
   * GUEST_THREW, MEMORY_SHORT, or USAGE for an impossible geometry.
   */
  async bootGuest(request: BootRequest): Promise<{ readonly guestId: string }> {
    const { context } = this;
    const { program, source, sha256 } = await loadProgram(request.program);
    const spec: GuestSpec = {
      guestId: randomUUID().slice(0, 8),
      name: program.name,
      program: source,
      programSha256: sha256,
      options: request.options,
      ramBytes: request.memoryBytes,
      vcpuCount: request.vcpuCount,
    };
    checkGeometry(spec);
    assertMemory(spec.ramBytes, this.arrivals.promisedBytes);
    const guest = await Guest.create(spec, allocate(spec), (it) => {
      // Until it is entered below, `boot` or `start` rejects with it.
      if (context.residents.has(spec.guestId)) context.guestFailed(spec.guestId, it);
    });
    try {
      const states = await guest.boot();
      context.journal.write(spec.guestId, 1, "born");
      await guest.start(states);
    } catch (error) {
      await guest.dispose();
      throw error;
    }
    const throughput = new ThroughputRecorder(() => guest.operations(), context.clock);
    const resident = new Resident(
      guest,
      throughput,
      1,
      "running",
      (event) => {
        context.emit(event);
      },
      context.clock,
    );
    context.residents.set(spec.guestId, resident);
    this.getReady();
    return { guestId: spec.guestId };
  }

  status(): HostState {
    const { context } = this;
    return {
      host: context.hostId,
      version: RELEASE,
      pid: process.pid,
      address: this.address === null ? null : formatAddress(this.address),
      guests: [...context.residents.values()].map((resident) => resident.status()),
      migrations: [...context.migrations.values()].map(({ phase, progress }) => ({
        ...phase,
        progress,
      })),
    };
  }

  async migrate(request: MigrateRequest): Promise<{ readonly migrationId: string }> {
    return Promise.resolve({ migrationId: this.departures.start(request) });
  }

  async estimate(request: EstimateRequest): Promise<EstimateEvent> {
    return estimateFor(this.context, this.departures, request);
  }

  cancel(migrationId: string, by: string): void {
    this.departures.cancel(migrationId, by);
  }

  async pause(guestId: string): Promise<void> {
    await this.context.resident(guestId).pause();
  }

  async resume(guestId: string, request?: ResumeRequest): Promise<void> {
    const resident = this.context.resident(guestId);
    this.departures.refuseWhileLeaving(guestId);
    await resident.resume(request);
  }

  async discard(guestId: string, request?: DiscardRequest): Promise<void> {
    const { context } = this;
    const resident = context.resident(guestId);
    this.departures.refuseWhileLeaving(guestId);
    await this.arrivals.ended(guestId);
    await resident.discard(request);
    context.residents.delete(guestId);
    this.arrivals.forget(guestId);
    freeMemorySoon(resident.guest.ram);
    context.onSettled();
  }

  async digest(guestId: string): Promise<GuestDigest> {
    return this.context.resident(guestId).digest();
  }

  watch(listener: (event: Told) => void): () => void {
    return this.context.watch(listener);
  }

  /** Ends what is under way and every guest that is here. Idempotent. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    const failure: Failure = { code: "CANCELLED", by: "the host, which is closing" };
    this.greeter?.close();
    this.departures.abandon(failure);
    this.arrivals.abandon(failure);
    const { residents, journal } = this.context;
    this.readiness.expect("nothing");
    await Promise.all([...residents.values()].map((resident) => resident.dispose()));
    residents.clear();
    journal.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Starts the threads of the migration that may come next, so that it need not wait for them. Meanwhile they take the cores: a
   * host that has something to do first, such as to say that it listens, does it first.
   */
  getReady(): void {
    const { residents, migrations } = this.context;
    if (this.closed || migrations.size > 0) return;
    if (residents.size > 0) this.readiness.expect("departure");
    else this.readiness.expect(this.greeter === undefined ? "nothing" : "arrival");
  }

  private async listen(address: Address): Promise<void> {
    const { context } = this;
    this.greeter = await openGreeter(
      address,
      (greeting) => {
        this.arrivals.greet(greeting);
      },
      (failure, from) => {
        context.logger.warn({ from, code: failure.code }, describe(failure));
        context.emitError(failure, null);
      },
    );
  }
}

function checkGeometry({ ramBytes, vcpuCount }: GuestSpec): void {
  if (!isRamSize(ramBytes)) {
    const detail = "--memory must be whole 64 KiB units, from 64KiB to 4GiB";
    throw new MigrationError({ code: "USAGE", detail });
  }
  if (!Number.isInteger(vcpuCount) || vcpuCount < 1 || vcpuCount > MAX_VCPUS) {
    const detail = `--vcpus must be a whole number from 1 to ${String(MAX_VCPUS)}`;
    throw new MigrationError({ code: "USAGE", detail });
  }
}
