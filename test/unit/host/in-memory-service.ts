import { MigrationError } from "../../../src/failure.js";
import {
  type EstimateEvent,
  type GuestDigest,
  type GuestStatus,
  type HostEvent,
  type HostState,
  type Told,
  told,
} from "../../../src/host/events.js";
import type {
  DiscardRequest,
  EstimateRequest,
  HostService,
  MigrateRequest,
  ResumeRequest,
} from "../../../src/host/service.js";
import { phaseEvent, sampleEstimate, sampleReport } from "../cli/samples.js";

/** A host without memory and network: one guest, and migrations that move when a test says so. */
export class InMemoryService implements HostService {
  readonly requests: MigrateRequest[] = [];
  readonly estimates: EstimateRequest[] = [];
  /** What came with each resumption and each discarding. */
  readonly vouched: (ResumeRequest | DiscardRequest | undefined)[] = [];
  readonly guest: GuestStatus = {
    guestId: "g1",
    guest: "kv",
    state: "running",
    memoryBytes: 2 ** 30,
    vcpuCount: 2,
    generation: 1,
    operations: 12_345_678,
    operationsPerSecond: 1_234_567,
  };
  guests: GuestStatus[] = [this.guest];
  private readonly listeners = new Set<(event: Told) => void>();
  private readonly stages = new Map<string, 1 | 2 | 3>();
  private paused = false;

  /** Watchers at this moment. */
  watcherCount(): number {
    return this.listeners.size;
  }

  emit(event: HostEvent): void {
    if (event.event === "phase" && event.stage !== null) {
      this.stages.set(event.migrationId, event.stage);
    }
    if (event.event === "report") this.stages.delete(event.migrationId);
    for (const listener of this.listeners) listener(told(event));
  }

  status(): HostState {
    const state = this.paused ? "paused" : "running";
    return {
      host: "h1",
      version: "0.0.0",
      pid: 1,
      address: null,
      guests: this.guests.map((guest) => ({ ...guest, state })),
      migrations: [],
    };
  }

  estimate(request: EstimateRequest): Promise<EstimateEvent> {
    const guestId = request.guestId ?? "g1";
    if (guestId !== "g1") return reject({ code: "GUEST_NOT_HERE", guestId });
    this.estimates.push(request);
    return Promise.resolve(sampleEstimate({ to: request.to }));
  }

  /** Emits its first phase before it answers, as a fast host may. */
  migrate(request: MigrateRequest): Promise<{ migrationId: string }> {
    const guestId = request.guestId ?? "g1";
    if (guestId !== "g1") return reject({ code: "GUEST_NOT_HERE", guestId });
    if (this.stages.size > 0) return reject({ code: "GUEST_BUSY", guestId, state: "migrating" });
    this.requests.push(request);
    const migrationId = `m${String(this.requests.length)}`;
    this.emit(phaseEvent({ migrationId, stage: 1 }));
    return Promise.resolve({ migrationId });
  }

  cancel(migrationId: string, by: string): void {
    const stage = this.stages.get(migrationId);
    if (stage === undefined) throw new MigrationError({ code: "MIGRATION_UNKNOWN", migrationId });
    if (stage > 1) {
      throw new MigrationError({ code: "GUEST_BUSY", guestId: "g1", state: "handedOver" });
    }
    const failure = { code: "CANCELLED", text: `the migration was cancelled by ${by}` };
    queueMicrotask(() => {
      this.emit(sampleReport({ migrationId, outcome: "cancelled", failure }));
    });
  }

  pause(guestId: string): Promise<void> {
    if (guestId !== "g1") return reject({ code: "GUEST_NOT_HERE", guestId });
    this.paused = true;
    return Promise.resolve();
  }

  resume(guestId: string, request?: ResumeRequest): Promise<void> {
    if (guestId !== "g1") return reject({ code: "GUEST_NOT_HERE", guestId });
    this.vouched.push(request);
    this.paused = false;
    return Promise.resolve();
  }

  discard(guestId: string, request?: DiscardRequest): Promise<void> {
    if (guestId !== "g1") return reject({ code: "GUEST_NOT_HERE", guestId });
    this.vouched.push(request);
    if (!this.paused) return reject({ code: "GUEST_BUSY", guestId, state: "running" });
    this.guests = [];
    return Promise.resolve();
  }

  digest(guestId: string): Promise<GuestDigest> {
    return Promise.resolve({
      guestId,
      guest: "kv",
      program: "builtin:kv",
      options: { seed: "1" },
      memoryBytes: 2 ** 30,
      operations: [6, 6],
      memorySha256: "00".repeat(32),
      cpus: ["{}", "{}"],
    });
  }

  watch(listener: (event: Told) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

function reject(failure: ConstructorParameters<typeof MigrationError>[0]): Promise<never> {
  return Promise.reject(new MigrationError(failure));
}
