import type { Clock } from "../clock.js";
import { MigrationError } from "../failure.js";
import type { CpuStates, Guest } from "../guest/guest.js";
import { identify } from "../guest/identity.js";
import type { ThroughputRecorder } from "../guest/throughput.js";
import { HeatClock } from "../source/heat-clock.js";
import type { GuestDigest, GuestEvent, GuestState, GuestStatus } from "./events.js";
import type { DiscardRequest, ResumeRequest } from "./service.js";

/** A guest that stands on this host, and what may be done with it now. */
export class Resident {
  /** What a person asked for last: one wish is carried out before the next is looked at. */
  private last: Promise<unknown> = Promise.resolve();
  readonly heat: HeatClock;
  /** The highest generation with which a migration was tried, here or before. */
  private tried: number;
  private gone = false;

  constructor(
    readonly guest: Guest,
    readonly throughput: ThroughputRecorder,
    /** Of the last switchover that was tried; a birth is generation 1. */
    public generation: number,
    private current: GuestState,
    private readonly changed: (event: GuestEvent) => void,
    clock: Clock,
  ) {
    this.tried = generation;
    this.heat = new HeatClock(guest.ram, clock);
    this.announce(current);
  }

  get guestId(): string {
    return this.guest.spec.guestId;
  }

  get state(): GuestState {
    return this.current;
  }

  /**
   * The generation of a migration that is tried now. It is spent by that, also where the guest is never handed over: what one
   * destination has written down of it must not be taken for another try.
   */
  nextGeneration(): number {
    this.tried += 1;
    return this.tried;
  }

  /** Whatever becomes of its migration, a guest that crashed stays so, and one that is gone becomes nothing. */
  become(state: GuestState): void {
    if (state === this.current || this.current === "crashed" || this.gone) return;
    this.current = state;
    this.announce(state);
  }

  /** Throws GUEST_BUSY unless the guest is in one of `states`, and GUEST_NOT_HERE once it is gone. */
  require(...states: readonly GuestState[]): void {
    if (this.gone) throw new MigrationError({ code: "GUEST_NOT_HERE", guestId: this.guestId });
    if (states.includes(this.current)) return;
    throw new MigrationError({
      code: "GUEST_BUSY",
      guestId: this.guestId,
      state: this.current,
    });
  }

  /** Rejects with GUEST_BUSY unless the guest runs, and with what crashed it. */
  pause(): Promise<void> {
    return this.inTurn(async () => {
      this.require("running");
      this.become("paused");
      await this.guest.pause();
    });
  }

  resume({ inDoubt = false }: ResumeRequest = {}): Promise<void> {
    return this.inTurn(() => {
      this.require("paused", ...(inDoubt ? (["inDoubt"] as const) : []));
      return this.goOn();
    });
  }

  digest(): Promise<GuestDigest> {
    return this.inTurn(async () => {
      this.require("running", "paused");
      const wasRunning = this.current === "running";
      // So that no migration starts meanwhile.
      this.become("paused");
      try {
        return await this.digestStanding(await this.guest.pause());
      } finally {
        if (wasRunning) await this.goOn();
      }
    });
  }

  status(): GuestStatus {
    const { spec } = this.guest;
    return {
      guestId: spec.guestId,
      guest: spec.name,
      state: this.current,
      memoryBytes: spec.ramBytes,
      vcpuCount: spec.vcpuCount,
      generation: this.generation,
      operations: this.guest.operations(),
      operationsPerSecond: this.throughput.recentRate(),
    };
  }

  /** It is another host's now: its threads end, and its memory is free once nobody holds this. */
  async release(): Promise<void> {
    await this.dispose();
    this.announce("released");
  }

  /** Ends it for good. Rejects with GUEST_BUSY for one that runs, or may be the last there is of it. */
  discard({ force = false }: DiscardRequest = {}): Promise<void> {
    return this.inTurn(async () => {
      this.require("paused", "crashed", ...(force ? (["inDoubt", "stranded"] as const) : []));
      await this.dispose();
      this.announce("discarded");
    });
  }

  async dispose(): Promise<void> {
    this.gone = true;
    this.throughput.stop();
    this.heat.stop();
    await this.guest.dispose();
  }

  private async goOn(): Promise<void> {
    await this.guest.resume();
    this.become("running");
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  private async digestStanding(states: CpuStates): Promise<GuestDigest> {
    const { spec, ram } = this.guest;
    const identity = await identify(ram, states);
    return {
      guestId: spec.guestId,
      guest: spec.name,
      program: spec.program,
      options: spec.options,
      memoryBytes: spec.ramBytes,
      operations: states.operations,
      ...identity,
    };
  }

  private announce(state: GuestEvent["state"]): void {
    const { guestId, name } = this.guest.spec;
    this.changed({
      event: "guest",
      guestId,
      guest: name,
      state,
      generation: this.generation,
    });
  }
}
