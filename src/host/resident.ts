import type { Clock } from "../clock.js";
import { MigrationError } from "../failure.js";
import type { CpuStates, Guest } from "../guest/guest.js";
import { identify } from "../guest/identity.js";
import type { ThroughputRecorder } from "../guest/throughput.js";
import { HeatClock } from "../source/heat-clock.js";
import type { GuestDigest, GuestEvent, GuestState, GuestStatus } from "./events.js";

/** A guest that stands on this host, and what may be done with it now. */
export class Resident {
  /** Its CPU states while it is paused at a person's wish. */
  private paused: CpuStates | undefined;
  readonly heat: HeatClock;

  constructor(
    readonly guest: Guest,
    readonly throughput: ThroughputRecorder,
    /** Of the last switchover that was tried; a birth is generation 1. */
    public generation: number,
    private current: GuestState,
    private readonly changed: (event: GuestEvent) => void,
    clock: Clock,
  ) {
    this.heat = new HeatClock(guest.ram, clock);
    this.announce(current);
  }

  get guestId(): string {
    return this.guest.spec.guestId;
  }

  get state(): GuestState {
    return this.current;
  }

  /** Whatever becomes of its migration, a guest that crashed stays so. */
  become(state: GuestState): void {
    if (state === this.current || this.current === "crashed") return;
    this.current = state;
    this.announce(state);
  }

  /** Throws GUEST_BUSY unless the guest is in one of `states`. */
  require(...states: readonly GuestState[]): void {
    if (states.includes(this.current)) return;
    throw new MigrationError({
      code: "GUEST_BUSY",
      guestId: this.guestId,
      state: this.current,
    });
  }

  async pause(): Promise<void> {
    this.require("running");
    this.become("paused");
    this.paused = await this.guest.pause();
  }

  /** Also ends a doubt: whoever says it has made sure that the guest runs nowhere else. */
  resume(): void {
    this.require("paused", "inDoubt");
    this.paused = undefined;
    this.guest.resume();
    this.become("running");
  }

  async digest(): Promise<GuestDigest> {
    this.require("running", "paused");
    const wasRunning = this.current === "running";
    if (wasRunning) await this.pause();
    try {
      return await this.digestPaused();
    } finally {
      if (wasRunning) this.resume();
    }
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

  async dispose(): Promise<void> {
    this.throughput.stop();
    this.heat.stop();
    await this.guest.dispose();
  }

  private async digestPaused(): Promise<GuestDigest> {
    const states = this.paused;
    if (states === undefined) throw new RangeError("a paused guest has CPU states");
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
