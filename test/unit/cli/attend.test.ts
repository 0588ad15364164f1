import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { attend, type AttendOptions } from "../../../src/cli/attend.js";
import { MigrationError } from "../../../src/failure.js";
import { InMemoryService } from "../host/in-memory-service.js";
import { ManualClock, RecordingPresenter } from "./recording.js";
import { phaseEvent, sampleReport } from "./samples.js";

/** A host that is attended, with hands on everything around it. */
function attended(options: Partial<AttendOptions> = {}) {
  const service = new InMemoryService();
  const presenter = new RecordingPresenter();
  const clock = new ManualClock();
  const signals = new EventEmitter();
  const left = attend({ service, presenter, clock, signals, once: false, ...options });
  const press = () => signals.emit("SIGINT");
  return { service, presenter, clock, signals, left, press };
}

test("Ctrl-C outside a migration leaves with 0 and says that the guest ends", async () => {
  const { presenter, signals, service, left, press } = attended();
  press();
  assert.equal(await left, 0);
  assert.deepEqual(presenter.said, ["guest kv (g1) ends with this process"]);
  assert.equal(signals.eventNames().length, 0);
  assert.equal(service.watcherCount(), 0);
});

test("Ctrl-C in stage one cancels the migration, and the guest goes on running here", async () => {
  const { service, presenter, left, press } = attended();
  const { migrationId } = await service.migrate({ to: "127.0.0.1:7000" });
  press();
  assert.deepEqual(presenter.said, [
    "cancelling the migration of guest kv (g1)",
    "guest kv (g1) goes on running here",
  ]);
  await Promise.resolve();
  const report = presenter.events.at(-1);
  assert.equal(report?.event === "report" && report.migrationId, migrationId);
  press();
  assert.equal(await left, 0);
});

test("Ctrl-C in stage one with --once leaves with 3 and says that the guest ends", async () => {
  const { service, presenter, left, press } = attended({ once: true });
  await service.migrate({ to: "127.0.0.1:7000" });
  press();
  assert.equal(await left, 3);
  assert.deepEqual(presenter.said, [
    "cancelling the migration of guest kv (g1)",
    "guest kv (g1) ends with this process",
  ]);
});

test("Ctrl-C while the guest moves stays, and a second one leaves with 4 and says the loss", async () => {
  const { service, presenter, clock, left, press } = attended();
  service.emit(phaseEvent({ stage: 3 }));
  press();
  clock.advance(6000);
  press();
  clock.advance(1000);
  const isWarning = (text: string) => text.includes("moving and cannot be cancelled");
  assert.deepEqual(presenter.said.map(isWarning), [true, true]);
  press();
  assert.equal(await left, 4);
  assert.match(presenter.said.at(-1) ?? "", /loses the pages that had not arrived/);
});

test("a phase outside the stages does not make a moving guest cancellable again", async () => {
  const { service, presenter, left, press } = attended();
  service.emit(phaseEvent({ stage: 2 }));
  service.emit(phaseEvent({ stage: null, phase: "inDoubt" }));
  press();
  assert.match(presenter.said[0] ?? "", /cannot be cancelled/);
  press();
  assert.equal(await left, 4);
});

test("a cancel that comes too late is answered, not lost", async () => {
  const { service, presenter, left, press } = attended();
  service.emit(phaseEvent());
  service.cancel = () => {
    throw new MigrationError({ code: "GUEST_BUSY", guestId: "g1", state: "handedOver" });
  };
  press();
  assert.equal(presenter.said.at(-1), "guest kv (g1) is moving and cannot be cancelled");
  service.emit(sampleReport());
  press();
  assert.equal(await left, 0);
});

test("--once leaves when the migration has ended, with the code of its outcome", async () => {
  for (const [outcome, code] of [
    ["completed", 0],
    ["failed", 3],
    ["inDoubt", 4],
    ["stranded", 4],
  ] as const) {
    const { service, left } = attended({ once: true });
    service.emit(phaseEvent());
    service.emit(sampleReport({ outcome }));
    assert.equal(await left, code, outcome);
  }
});

test("--once leaves with 3 for an error that ended a migration, and with 4 when the guest was moving", async () => {
  for (const [stage, code] of [
    [null, 3],
    [1, 3],
    [3, 4],
  ] as const) {
    const { service, left } = attended({ once: true });
    service.emit(phaseEvent({ direction: "incoming", stage }));
    service.emit({ event: "error", code: "CONNECTION_LOST", text: "", migrationId: "m1" });
    assert.equal(await left, code);
  }
});

test("--once waits for the report of what goes out, and needs none of what comes in", async () => {
  const outgoing = attended({ once: true });
  outgoing.service.emit(phaseEvent());
  outgoing.service.emit(phaseEvent({ stage: null, phase: "ended" }));
  outgoing.service.emit(sampleReport({ outcome: "stranded" }));
  assert.equal(await outgoing.left, 4);
  const incoming = attended({ once: true });
  const direction = "incoming";
  incoming.service.emit(phaseEvent({ direction, stage: 3 }));
  incoming.service.emit(phaseEvent({ direction, stage: null, phase: "observing" }));
  incoming.service.emit(phaseEvent({ direction, stage: null, phase: "ended" }));
  assert.equal(await incoming.left, 0);
});

test("--once does not leave for an error that ended no migration", async () => {
  const { service, left } = attended({ once: true });
  service.emit({ event: "error", code: "TOKEN_WRONG", text: "", migrationId: null });
  service.emit(sampleReport());
  assert.equal(await left, 0);
});

test("a phase that comes after the end does not bring the migration back", async () => {
  const { service, left, press } = attended();
  const direction = "incoming";
  service.emit(phaseEvent({ direction, stage: 3 }));
  service.emit({ event: "error", code: "CONNECTION_LOST", text: "", migrationId: "m1" });
  service.emit(phaseEvent({ direction, stage: null, phase: "stranded" }));
  press();
  assert.equal(await left, 0);
});

test("without --once a host outlives its migrations, and errors that ended none", async () => {
  const { service, presenter, left, press } = attended();
  service.emit(phaseEvent());
  service.emit(sampleReport());
  service.emit({ event: "error", code: "TOKEN_WRONG", text: "", migrationId: null });
  assert.equal(presenter.events.length, 3);
  service.guests = [];
  press();
  assert.equal(await left, 0);
  assert.deepEqual(presenter.said, []);
});

test("SIGTERM cancels what can be cancelled and leaves when it has ended", async () => {
  const { service, signals, presenter, left } = attended();
  await service.migrate({ to: "127.0.0.1:7000" });
  signals.emit("SIGTERM");
  assert.equal(await left, 3);
  assert.deepEqual(presenter.said, [
    "cancelling the migration of guest kv (g1)",
    "closing when the migration of guest kv has ended",
    "guest kv (g1) ends with this process",
  ]);
});

test("SIGTERM waits for a guest that moves", async () => {
  const { service, signals, presenter, left } = attended();
  service.emit(phaseEvent({ stage: 3 }));
  signals.emit("SIGTERM");
  assert.match(presenter.said.at(-1) ?? "", /closing when the migration of guest kv has ended/);
  service.guests = [];
  service.emit(sampleReport());
  assert.equal(await left, 0);
});

test("SIGTERM leaves with what became of the guests that it waited for, the worst of them", async () => {
  const { service, signals, left } = attended();
  service.emit(phaseEvent({ stage: 3, migrationId: "m1" }));
  service.emit(phaseEvent({ stage: 3, migrationId: "m2" }));
  signals.emit("SIGTERM");
  service.emit(sampleReport({ migrationId: "m1", outcome: "stranded" }));
  service.emit(sampleReport({ migrationId: "m2" }));
  assert.equal(await left, 4);
});

test("SIGTERM and SIGHUP without a migration leave with 0 at once", async () => {
  for (const signal of ["SIGTERM", "SIGHUP"]) {
    const { signals, left } = attended();
    signals.emit(signal);
    assert.equal(await left, 0);
  }
});

test("work that names an exit code leaves with it, and work that fails rejects", async () => {
  assert.equal(await attended({ work: () => Promise.resolve(3) }).left, 3);
  const failure = new MigrationError({ code: "USAGE", detail: "no" });
  await assert.rejects(attended({ work: () => Promise.reject(failure) }).left, failure);
});

test("work is told to stop when the host is left, and its failure then matters no more", async () => {
  const { left, press } = attended({
    work: (stop) =>
      new Promise((_resolve, reject) => {
        stop.addEventListener("abort", () => {
          reject(new Error("given up"));
        });
      }),
  });
  press();
  assert.equal(await left, 0);
});
