import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage, type RequestOptions } from "node:http";
import { json, text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { pino } from "pino";
import { MigrationError } from "../../../src/failure.js";
import { openControlEndpoint } from "../../../src/host/control-endpoint.js";
import type { HostEvent, HostStatus, Told } from "../../../src/host/events.js";
import { formatAddress, type Address } from "../../../src/transport/address.js";
import {
  phaseEvent,
  progressEvent,
  sampleEstimate,
  sampleReport,
  withoutTime,
} from "../cli/samples.js";
import { InMemoryService } from "./in-memory-service.js";

const LOCAL: Address = { host: "127.0.0.1", port: 0 };
const logger = pino({ level: "silent" });

async function open(context: TestContext, options: { token?: string; address?: Address } = {}) {
  const service = new InMemoryService();
  const { token = null, address = LOCAL } = options;
  const endpoint = await openControlEndpoint(service, { address, token, insecure: false, logger });
  context.after(() => endpoint.close());
  const send = (method: string, path: string, body?: unknown, headers = {}) =>
    exchange({ ...endpoint.address, method, path, headers }, body);
  return { service, endpoint, send };
}

async function exchange(options: RequestOptions, body?: unknown): Promise<IncomingMessage> {
  const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const sent = request({
    ...options,
    agent: false,
    headers: { ...headers, ...(options.headers as object) },
  });
  sent.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return response;
}

/** The response's status and the code of the failure in it. */
async function refusalOf(response: IncomingMessage): Promise<[number | undefined, string]> {
  const { code, text } = (await json(response)) as { code: string; text: string };
  assert.equal(typeof text, "string");
  return [response.statusCode, code];
}

function lines(body: string): HostEvent[] {
  return body
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => withoutTime(JSON.parse(line) as Told));
}

test("GET /status answers the host's status with the endpoint's real address", async (context) => {
  const { endpoint, send } = await open(context);
  const status = (await json(await send("GET", "/status"))) as HostStatus;
  assert.notEqual(endpoint.address.port, 0);
  assert.equal(status.control, formatAddress(endpoint.address));
  assert.equal(status.guests[0]?.guestId, "g1");
});

test("POST /migrations passes the request on and names the migration", async (context) => {
  const { service, send } = await open(context);
  const body = {
    ...{ to: "127.0.0.1:7000", guestId: "g1", maxBandwidth: 125e6, channels: 4 },
    ...{ algorithm: "pre-copy", downtimeLimitMs: 300, maxRounds: 29 },
    throttle: { startPercent: 20, stepPercent: 10, maxPercent: 99 },
  };
  const response = await send("POST", "/migrations", body);
  assert.equal(response.statusCode, 202);
  assert.equal(response.headers.location, "/migrations/m1");
  assert.deepEqual(await json(response), { migrationId: "m1" });
  assert.deepEqual(service.requests, [body]);
});

test("a body that makes no sense is refused with 400 and reaches no guest", async (context) => {
  const { service, send } = await open(context);
  const bodies = [
    {},
    { to: "nowhere" },
    { to: 7000 },
    { to: "a:1", channels: 0 },
    { to: "a:1", channels: 17 },
    { to: "a:1", maxBandwidth: -1 },
    { to: "a:1", guestId: "" },
    { to: "a:1", surprise: true },
    { to: "a:1", algorithm: "teleport" },
    { to: "a:1", maxRounds: 0 },
    { to: "a:1", maxRounds: 1001 },
    { to: "a:1", downtimeLimitMs: 0 },
    { to: "a:1", maxDowntimeMs: 86_400_001 },
    { to: "a:1", maxTotalMs: "30s" },
    { to: "a:1", throttle: {} },
    { to: "a:1", throttle: { startPercent: 20, stepPercent: 10, maxPercent: 100 } },
    [],
    "{",
  ];
  for (const body of bodies) {
    const found = await refusalOf(await send("POST", "/migrations", body));
    assert.deepEqual(found, [400, "USAGE"], JSON.stringify(body));
  }
  assert.deepEqual(service.requests, []);
});

test("a throttle that starts, steps or ends at 0 % is refused with the part that is wrong", async (context) => {
  const { service, send } = await open(context);
  const throttle = { startPercent: 20, stepPercent: 10, maxPercent: 99 };
  for (const part of ["startPercent", "stepPercent", "maxPercent"] as const) {
    const body = { to: "a:1", algorithm: "pre-copy", throttle: { ...throttle, [part]: 0 } };
    const response = await send("POST", "/migrations", body);
    assert.equal(response.statusCode, 400);
    const { code, text: said } = (await json(response)) as { code: string; text: string };
    assert.equal(code, "USAGE");
    assert.match(said, new RegExp(`throttle\\.${part}: [^;]*>=1$`));
  }
  assert.deepEqual(service.requests, []);
});

test("a body beyond the limit is refused with 413", async (context) => {
  const { send } = await open(context);
  const body = { to: "a".repeat(20_000) };
  assert.deepEqual(await refusalOf(await send("POST", "/migrations", body)), [413, "USAGE"]);
});

test("each failure of the host comes back with its code and a fitting status", async (context) => {
  const { service, send } = await open(context);
  const to = "127.0.0.1:7000";
  const unknown = await send("POST", "/migrations", { to, guestId: "g9" });
  assert.deepEqual(await refusalOf(unknown), [404, "GUEST_NOT_HERE"]);
  assert.deepEqual(await refusalOf(await send("DELETE", "/migrations/m9")), [
    404,
    "MIGRATION_UNKNOWN",
  ]);
  await send("POST", "/migrations", { to });
  const second = await send("POST", "/migrations", { to });
  assert.deepEqual(await refusalOf(second), [409, "GUEST_BUSY"]);
  service.emit(phaseEvent({ stage: 2 }));
  assert.deepEqual(await refusalOf(await send("DELETE", "/migrations/m1")), [409, "GUEST_BUSY"]);
  assert.deepEqual(await refusalOf(await send("GET", "/nothing")), [404, "USAGE"]);
});

test("a bug of the host answers 500 and tells the caller nothing of its inside", async (context) => {
  const { service, send } = await open(context);
  service.digest = () => Promise.reject(new Error("a secret of the inside"));
  const response = await send("GET", "/guests/g1/digest");
  assert.equal(response.statusCode, 500);
  assert.doesNotMatch(await text(response), /secret/);
});

test("a migration in stage one is cancelled by DELETE", async (context) => {
  const { service, send } = await open(context);
  const ended = new Promise<HostEvent>((resolve) => {
    service.watch((event) => {
      if (event.event === "report") resolve(event);
    });
  });
  await send("POST", "/migrations", { to: "127.0.0.1:7000" });
  assert.equal((await send("DELETE", "/migrations/m1")).statusCode, 202);
  const report = await ended;
  assert.equal(report.event === "report" && report.outcome, "cancelled");
});

test("a guest is paused, digested and resumed by its id", async (context) => {
  const { service, send } = await open(context);
  assert.equal((await send("POST", "/guests/g1/pause")).statusCode, 204);
  assert.equal(service.status().guests[0]?.state, "paused");
  const digest = (await json(await send("GET", "/guests/g1/digest"))) as object;
  assert.deepEqual(digest, await service.digest("g1"));
  assert.equal((await send("POST", "/guests/g1/resume")).statusCode, 204);
  assert.equal(service.status().guests[0]?.state, "running");
  const found = await refusalOf(await send("POST", "/guests/g9/resume"));
  assert.deepEqual(found, [404, "GUEST_NOT_HERE"]);
});

test("a guest that stands still is discarded by DELETE, and one that runs is not", async (context) => {
  const { service, send } = await open(context);
  assert.deepEqual(await refusalOf(await send("DELETE", "/guests/g1")), [409, "GUEST_BUSY"]);
  const nonsense = await send("DELETE", "/guests/g1?force=perhaps");
  assert.deepEqual(await refusalOf(nonsense), [400, "USAGE"]);
  assert.deepEqual(await refusalOf(await send("DELETE", "/guests/g9")), [404, "GUEST_NOT_HERE"]);
  await send("POST", "/guests/g1/pause");
  assert.equal((await send("POST", "/guests/g1/resume?inDoubt=true")).statusCode, 204);
  await send("POST", "/guests/g1/pause");
  assert.equal((await send("DELETE", "/guests/g1?force=true")).statusCode, 204);
  assert.deepEqual(service.vouched, [{ force: false }, { inDoubt: true }, { force: true }]);
  assert.deepEqual(service.status().guests, []);
});

test("a followed migration is streamed from its first event to its report", async (context) => {
  const { service, send } = await open(context);
  const response = await send("POST", "/migrations?follow=true", { to: "127.0.0.1:7000" });
  assert.equal(response.headers.location, "/migrations/m1");
  const events = [
    progressEvent(),
    phaseEvent({ stage: 2 }),
    sampleReport({ migrationId: "another" }),
    progressEvent({ migrationId: "another" }),
    sampleReport(),
  ];
  for (const event of events) service.emit(event);
  const expected = [phaseEvent(), events[0], events[1], events[4]];
  assert.deepEqual(lines(await text(response)), expected);
  assert.equal(service.watcherCount(), 0);
});

test("a followed migration that does not start is refused like any other", async (context) => {
  const { service, send } = await open(context);
  const body = { to: "127.0.0.1:7000", guestId: "g9" };
  const response = await send("POST", "/migrations?follow=true", body);
  assert.deepEqual(await refusalOf(response), [404, "GUEST_NOT_HERE"]);
  assert.equal(service.watcherCount(), 0);
});

test("GET /events streams every event until the endpoint closes", async (context) => {
  const { service, endpoint, send } = await open(context);
  const response = await send("GET", "/events");
  const events = [phaseEvent(), progressEvent(), sampleReport({ migrationId: "another" })];
  for (const event of events) service.emit(event);
  const received = text(response);
  await endpoint.close();
  assert.deepEqual(lines(await received), events);
});

test("a client that leaves is no longer watched for", async (context) => {
  const { service, send } = await open(context);
  const response = await send("GET", "/events");
  assert.equal(service.watcherCount(), 1);
  response.destroy();
  // The endpoint learns of it in its own time; every event it is asked to send gives it a turn.
  while (service.watcherCount() > 0) {
    service.emit(progressEvent());
    await new Promise(setImmediate);
  }
});

test("a client that does not read is cut off before it costs much memory", async (context) => {
  const { service, send } = await open(context);
  const response = await send("GET", "/events");
  response.pause();
  const report = sampleReport();
  for (let sent = 0; service.watcherCount() > 0; sent += 1) {
    assert.ok(sent < 50_000, "it was never cut off");
    service.emit(report);
    if (sent % 100 === 0) await new Promise(setImmediate);
  }
});

test("a wrong or missing token is refused with 401 on every route", async (context) => {
  const { service, send } = await open(context, { token: "secret" });
  const routes = [
    ["GET", "/status"],
    ["GET", "/events"],
    ["POST", "/migrations"],
    ["DELETE", "/migrations/m1"],
    ["POST", "/guests/g1/pause"],
    ["POST", "/guests/g1/resume"],
    ["DELETE", "/guests/g1"],
    ["GET", "/guests/g1/digest"],
    ["GET", "/nothing"],
  ] as const;
  const wrong = [undefined, "Bearer wrong", "Bearer ", "secret", "Basic secret"];
  for (const [method, path] of routes) {
    for (const authorization of wrong) {
      const headers = authorization === undefined ? {} : { authorization };
      const found = await refusalOf(await send(method, path, undefined, headers));
      assert.deepEqual(found, [401, "TOKEN_WRONG"], `${method} ${path} ${String(authorization)}`);
    }
  }
  assert.equal(service.watcherCount(), 0);
  const right = await send("GET", "/status", undefined, { authorization: "Bearer secret" });
  assert.equal(right.statusCode, 200);
});

test("a web page is refused, whatever site it comes from", async (context) => {
  const { service, send } = await open(context);
  const to = "127.0.0.1:7000";
  for (const headers of [
    { origin: "http://example.com" },
    { origin: "null" },
    { origin: "http://127.0.0.1:8080" },
    { host: "example.com" },
    { host: "127.0.0.1.example.com:7000" },
  ]) {
    const found = await refusalOf(await send("POST", "/migrations", { to }, headers));
    assert.deepEqual(found, [403, "BROWSER_REFUSED"], JSON.stringify(headers));
  }
  assert.deepEqual(service.requests, []);
  for (const host of ["localhost:7000", "127.0.0.1", "[::1]:7000"]) {
    assert.equal((await send("GET", "/status", undefined, { host })).statusCode, 200, host);
  }
});

test("an address that others can reach is refused without a token", async () => {
  const address = { host: "0.0.0.0", port: 0 };
  const opening = openControlEndpoint(new InMemoryService(), {
    ...{ address, token: null, insecure: false, logger },
  });
  await assert.rejects(opening, hasCode("LISTENS_OPENLY"));
});

test("an address that others can reach is opened with a token, and under its own name", async (context) => {
  const address = { host: "0.0.0.0", port: 0 };
  const { endpoint } = await open(context, { token: "secret", address });
  const headers = { authorization: "Bearer secret", host: "guests.example" };
  const response = await exchange({
    ...{ host: "127.0.0.1", port: endpoint.address.port, path: "/status", headers },
  });
  assert.equal(response.statusCode, 200);
});

test("an address that is taken is refused with CANNOT_LISTEN", async (context) => {
  const { endpoint } = await open(context);
  const opening = openControlEndpoint(new InMemoryService(), {
    ...{ address: endpoint.address, token: null, insecure: false, logger },
  });
  await assert.rejects(opening, hasCode("CANNOT_LISTEN"));
});

function hasCode(code: string) {
  return (error: unknown): boolean =>
    error instanceof MigrationError && error.failure.code === code;
}

test("POST /estimates passes the request on and answers with the estimate", async (context) => {
  const { service, send } = await open(context);
  const body = { to: "127.0.0.1:7000", guestId: "g1", maxBandwidth: 125e6, durationMs: 500 };
  const response = await send("POST", "/estimates", body);
  assert.equal(response.statusCode, 200);
  assert.deepEqual(await json(response), sampleEstimate({ to: body.to }));
  assert.deepEqual(service.estimates, [body]);
  for (const wrong of [
    {},
    { to: "nowhere" },
    { to: "a:1", durationMs: 1e6 },
    { to: "a:1", x: 1 },
  ]) {
    const found = await refusalOf(await send("POST", "/estimates", wrong));
    assert.deepEqual(found, [400, "USAGE"], JSON.stringify(wrong));
  }
});
