import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { pino } from "pino";
import { ControlClient } from "../../../src/cli/control-client.js";
import { follow } from "../../../src/cli/follow.js";
import { MigrationError } from "../../../src/failure.js";
import { openControlEndpoint } from "../../../src/host/control-endpoint.js";
import type { HostEvent } from "../../../src/host/events.js";
import { InMemoryService } from "../host/in-memory-service.js";
import { RecordingPresenter } from "./recording.js";
import { phaseEvent, progressEvent, sampleReport, withoutTime } from "./samples.js";

/** Tells when it has shown or said something that a test waits for. */
class WatchedPresenter extends RecordingPresenter {
  private readonly waiting = new EventEmitter();

  override show(event: HostEvent): void {
    super.show(event);
    this.waiting.emit("change");
  }

  override say(text: string): void {
    super.say(text);
    this.waiting.emit("change");
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => this.waiting.once("change", resolve));
  }
}

/** `tristage migrate` against a real endpoint. */
async function followed(context: TestContext, request = { to: "127.0.0.1:7000" }) {
  const service = new InMemoryService();
  const endpoint = await openControlEndpoint(service, {
    ...{ address: { host: "127.0.0.1", port: 0 }, token: null, insecure: false },
    logger: pino({ level: "silent" }),
  });
  context.after(() => endpoint.close());
  const client = new ControlClient(endpoint.address, null);
  const presenter = new WatchedPresenter();
  const signals = new EventEmitter();
  const ended = follow({ client, request, presenter, signals });
  return { service, endpoint, presenter, signals, ended };
}

test("a followed migration is shown from its first phase to its report, and its outcome is the exit code", async (context) => {
  for (const [outcome, code] of [
    ["completed", 0],
    ["failed", 3],
    ["stranded", 4],
  ] as const) {
    const { service, presenter, signals, ended } = await followed(context);
    await presenter.until(() => presenter.events.length === 1);
    const events = [progressEvent(), phaseEvent({ stage: 3 }), sampleReport({ outcome })];
    for (const event of events) service.emit(event);
    assert.equal(await ended, code);
    assert.deepEqual(presenter.events.map(withoutTime), [phaseEvent(), ...events]);
    assert.equal(signals.eventNames().length, 0);
  }
});

test("Ctrl-C cancels the migration and says that the guest goes on running on the source", async (context) => {
  const { presenter, signals, ended } = await followed(context);
  await presenter.until(() => presenter.events.length === 1);
  signals.emit("SIGINT");
  assert.equal(await ended, 3);
  const report = presenter.events.at(-1);
  assert.equal(report?.event === "report" && report.outcome, "cancelled");
  assert.deepEqual(presenter.said, [
    "cancelling the migration",
    "the guest goes on running on the source",
  ]);
});

test("Ctrl-C before the host has answered cancels the migration as soon as it has a name", async (context) => {
  const { signals, ended } = await followed(context);
  signals.emit("SIGINT");
  assert.equal(await ended, 3);
});

test("Ctrl-C while the guest moves says so, and a second one leaves the migration to go on", async (context) => {
  const { service, presenter, signals, ended } = await followed(context);
  await presenter.until(() => presenter.events.length === 1);
  service.emit(phaseEvent({ stage: 2 }));
  signals.emit("SIGINT");
  await presenter.until(() => presenter.said.length === 2);
  assert.match(presenter.said[1] ?? "", /^cannot cancel/);
  signals.emit("SIGINT");
  assert.equal(await ended, 1);
  assert.match(presenter.said[2] ?? "", /the migration goes on/);
  while (service.watcherCount() > 0) await new Promise(setImmediate);
  const shown = presenter.events.map(({ event }) => event);
  assert.deepEqual(shown, ["phase", "phase"]);
});

test("a source that goes away before its report leaves the outcome in doubt", async (context) => {
  const { endpoint, presenter, ended } = await followed(context);
  await presenter.until(() => presenter.events.length === 1);
  await endpoint.close();
  assert.equal(await ended, 4);
  const error = presenter.events.at(-1);
  assert.equal(error?.event === "error" && error.code, "CONNECTION_LOST");
  assert.equal(error?.event === "error" && error.migrationId, "m1");
});

test("a migration that the host refuses rejects with the host's own code", async (context) => {
  const { ended } = await followed(context, { to: "nowhere" });
  await assert.rejects(ended, (error: unknown) => {
    assert.ok(error instanceof MigrationError && error.failure.code === "PEER_FAILED");
    assert.equal(error.failure.peerCode, "USAGE");
    return true;
  });
});

/** `tristage migrate` that has asked a host which hangs. */
async function asked(context: TestContext) {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const client = new ControlClient({ host: "127.0.0.1", port }, null);
  const presenter = new RecordingPresenter();
  const signals = new EventEmitter();
  const called = once(server, "request");
  const ended = follow({ client, request: { to: "a:1" }, presenter, signals });
  await called;
  return { presenter, signals, ended };
}

test("a host that does not say whether it migrates leaves that open, and says where to ask", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { presenter, ended } = await asked(context);
  context.mock.timers.tick(5000);
  await assert.rejects(ended, (error: unknown) => {
    assert.ok(error instanceof MigrationError && error.failure.code === "PEER_SILENT");
    return true;
  });
  assert.match(presenter.said.join(), /whether the migration has begun.* tristage status --from/);
});

test("whoever leaves a host that hangs is told so once, and nothing of a cancellation", async (context) => {
  const { presenter, signals, ended } = await asked(context);
  signals.emit("SIGINT");
  signals.emit("SIGINT");
  assert.equal(await ended, 1);
  await new Promise(setImmediate);
  assert.equal(presenter.said.length, 1, presenter.said.join());
});
