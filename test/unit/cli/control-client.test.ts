import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { pino } from "pino";
import { ControlClient } from "../../../src/cli/control-client.js";
import { MigrationError, type Failure } from "../../../src/failure.js";
import { openControlEndpoint } from "../../../src/host/control-endpoint.js";
import { formatAddress, type Address } from "../../../src/transport/address.js";
import { InMemoryService } from "../host/in-memory-service.js";
import { phaseEvent } from "./samples.js";

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof MigrationError, String(error));
  return error.failure;
}

/** An HTTP server that is no host. */
async function stranger(context: TestContext, answer: RequestListener): Promise<Address> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("a client reads the status of a host whose token it presents, and of no other", async (context) => {
  const service = new InMemoryService();
  const endpoint = await openControlEndpoint(service, {
    ...{ address: { host: "127.0.0.1", port: 0 }, token: "secret", insecure: false },
    logger: pino({ level: "silent" }),
  });
  context.after(() => endpoint.close());
  const status = await new ControlClient(endpoint.address, "secret").status();
  assert.deepEqual(status, { ...service.status(), control: formatAddress(endpoint.address) });
  for (const token of [null, "wrong"]) {
    const failure = await failureOf(new ControlClient(endpoint.address, token).status());
    assert.equal(failure.code === "PEER_FAILED" && failure.peerCode, "TOKEN_WRONG");
  }
});

test("a host that is not there is CANNOT_CONNECT", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const failure = await failureOf(new ControlClient({ host: "127.0.0.1", port }, null).status());
  assert.equal(failure.code, "CANNOT_CONNECT");
});

test("a server that is no host is named as such, whatever it answers", async (context) => {
  const answers: RequestListener[] = [
    (_, response) => response.writeHead(404).end("<html>not here</html>"),
    (_, response) => response.writeHead(500).end('{"error":"inside"}'),
    (_, response) => response.end("hello"),
    (_, response) => response.end('{"host":1}'),
  ];
  for (const answer of answers) {
    const address = await stranger(context, answer);
    const failure = await failureOf(new ControlClient(address, null).status());
    assert.equal(failure.code === "PEER_FAILED" && failure.peerCode, "NOT_TRISTAGE");
  }
});

test("a migration's events are read whole however the network cuts them, up to the break", async (context) => {
  const line = Buffer.from(`${JSON.stringify(phaseEvent({ text: "größer als zuvor" }))}\n`);
  // The first cut goes through a character, the last event never comes whole.
  const middle = line.indexOf("ö") + 1;
  let sendRest: () => void = () => undefined;
  const address = await stranger(context, (_, response) => {
    response.writeHead(202, { location: "/migrations/m1" });
    response.write(Buffer.concat([line, line.subarray(0, middle)]));
    sendRest = () => {
      response.write(Buffer.concat([line.subarray(middle), line.subarray(0, middle)]));
      response.write("", () => response.destroy());
    };
  });
  const client = new ControlClient(address, null);
  const signal = new AbortController().signal;
  const { migrationId, events } = await client.migrate({ to: "a:1" }, signal);
  assert.equal(migrationId, "m1");
  const texts: string[] = [];
  const reading = (async () => {
    for await (const event of events) {
      if (event.event === "phase") texts.push(event.text);
      sendRest();
    }
  })();
  assert.equal((await failureOf(reading)).code, "CONNECTION_LOST");
  assert.deepEqual(texts, ["größer als zuvor", "größer als zuvor"]);
});

/** A host that takes calls and answers as far as `answer` goes, and a clock that stands until it is told. */
async function hangs(context: TestContext, answer: RequestListener = () => undefined) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let called: () => void = () => undefined;
  const isCalled = new Promise<void>((resolve) => (called = resolve));
  const address = await stranger(context, (request, response) => {
    answer(request, response);
    called();
  });
  return { client: new ControlClient(address, null), isCalled };
}

test("a host that takes a call and hangs is PEER_SILENT after the time that the call was given", async (context) => {
  const never = new AbortController().signal;
  const calls: [(client: ControlClient) => Promise<unknown>, patienceMs: number][] = [
    [(client) => client.status(), 5000],
    [(client) => client.estimate({ to: "a:1", durationMs: 2000 }), 37_000],
    [(client) => client.migrate({ to: "a:1" }, never), 5000],
    [(client) => client.cancel("m1"), 5000],
    [(client) => client.pause("g1"), 60_000],
    [(client) => client.resume("g1"), 60_000],
    [(client) => client.discard("g1"), 60_000],
  ];
  for (const [call, patienceMs] of calls) {
    const { client, isCalled } = await hangs(context);
    let hasEnded = false;
    const ended = failureOf(call(client)).finally(() => (hasEnded = true));
    await isCalled;
    context.mock.timers.tick(patienceMs - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasEnded, false);
    context.mock.timers.tick(1);
    const silent = { code: "PEER_SILENT", connection: "control", silentMs: patienceMs };
    assert.deepEqual(await ended, silent);
    context.mock.timers.reset();
  }
});

test("a host that hangs within its answer is PEER_SILENT, too", async (context) => {
  const { client } = await hangs(context, (_, response) => response.writeHead(200).write("{"));
  let hasEnded = false;
  // Its beginning may take longer than the rest.
  const estimate = client.estimate({ to: "a:1", durationMs: 2000 });
  const ended = failureOf(estimate).finally(() => (hasEnded = true));
  while (!hasEnded) {
    context.mock.timers.tick(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await ended, { code: "PEER_SILENT", connection: "control", silentMs: 5000 });
});

test("a migration that has begun may take as long as it takes", async (context) => {
  let end: () => void = () => undefined;
  const { client } = await hangs(context, (_, response) => {
    response.writeHead(202, { location: "/migrations/m1" }).flushHeaders();
    end = () => response.end(`${JSON.stringify(phaseEvent())}\n`);
  });
  const { events } = await client.migrate({ to: "a:1" }, new AbortController().signal);
  context.mock.timers.tick(24 * 60 * 60 * 1000);
  end();
  const found = [];
  for await (const event of events) found.push(event);
  assert.deepEqual(found, [phaseEvent()]);
});
