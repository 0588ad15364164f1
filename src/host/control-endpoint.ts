import type { AddressInfo } from "node:net";
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from "fastify";
import type { Logger } from "pino";
import { z } from "zod";
import { describe, MigrationError, type Failure, type FailureCode } from "../failure.js";
import { MAX_CHANNELS, MAX_DATA_PAGES, MAX_DURATION_MS, MAX_ROUNDS } from "../protocol/limits.js";
import { ALGORITHM_NAMES } from "../protocol/report.js";
import { formatAddress, isLoopback, parseAddress, type Address } from "../transport/address.js";
import { callerGuard } from "./caller-guard.js";
import { EventStreams } from "./event-streams.js";
import type { HostStatus } from "./events.js";
import { type HostService, MAX_ESTIMATE_MS } from "./service.js";

export interface ControlEndpointOptions {
  /** Port 0 takes any free port. */
  readonly address: Address;
  /** What callers present as `Authorization: Bearer`; null demands nothing. */
  readonly token: string | null;
  /** Accepts anyone, on any address. */
  readonly insecure: boolean;
  readonly logger: Logger;
}

export interface ControlEndpoint {
  /** The real port. */
  readonly address: Address;
  /** Ends every stream of events after what it has still to say, then frees the port. */
  close(): Promise<void>;
}

/** A request is a few hundred bytes, and its sender has no reason to dawdle. */
const MAX_BODY_BYTES = 16 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;

const duration = z.number().positive().max(MAX_DURATION_MS);
const percent = z.int().min(1).max(99);

/** Which guest, whereto, and how fast. */
const movement = {
  to: z.string().refine((text) => parseAddress(text) !== undefined, "must be HOST:PORT"),
  guestId: z.string().min(1).max(64).optional(),
  maxBandwidth: z.number().positive().optional(),
};
const estimateBody = z.strictObject({
  ...movement,
  durationMs: z.number().min(0).max(MAX_ESTIMATE_MS).optional(),
});
const migrateBody = z.strictObject({
  ...movement,
  maxPostcopyBandwidth: z.number().positive().optional(),
  channels: z.int().min(1).max(MAX_CHANNELS).optional(),
  algorithm: z.enum(ALGORITHM_NAMES).optional(),
  downtimeLimitMs: duration.optional(),
  maxRounds: z.int().min(1).max(MAX_ROUNDS).optional(),
  throttle: z
    .strictObject({ startPercent: percent, stepPercent: percent, maxPercent: percent })
    .optional(),
  maxDowntimeMs: duration.optional(),
  maxTotalMs: duration.optional(),
  tuning: z
    .strictObject({
      defer: z.boolean(),
      unchanged: z.boolean(),
      delta: z.boolean(),
      prepull: z.boolean(),
      checksums: z.boolean(),
      chunkPages: z.int().min(1).max(MAX_DATA_PAGES),
    })
    .partial()
    .optional(),
});
const flagText = z.enum(["true", "false"]).optional();
const migrateQuery = z.strictObject({ follow: flagText });
const resumeQuery = z.strictObject({ inDoubt: flagText });
const discardQuery = z.strictObject({ force: flagText });
const idParameter = z.object({ id: z.string() });

/**
 * Routes have no schemas: zod reads what comes, and answers are plain JSON. Without this Fastify loads the two libraries that
 * compile schemas, which takes longer than all the rest of it.
 */
const NO_SCHEMAS = { buildValidator: refuseSchemas, buildSerializer: refuseSchemas };

function refuseSchemas(): never {
  throw new Error("no route may have a schema");
}

/** Failures that are the caller's, or the destination's; every other one is this host's. */
const STATUS_OF: Partial<Record<FailureCode, number>> = {
  USAGE: 400,
  GUEST_NOT_HERE: 404,
  MIGRATION_UNKNOWN: 404,
  GUEST_BUSY: 409,
  GUEST_OWNED_HERE: 409,
  PROBES_FULL: 503,
  CANNOT_CONNECT: 502,
  CONNECTION_LOST: 502,
  PEER_FAILED: 502,
  PEER_SILENT: 504,
};

/**
 * Serves `service` as HTTP and JSON. Rejects with `LISTENS_OPENLY` for an address that others can reach
 * without a token, and with `CANNOT_LISTEN` for one that is taken.
 */
export async function openControlEndpoint(
  service: HostService,
  options: ControlEndpointOptions,
): Promise<ControlEndpoint> {
  const { address, token, insecure, logger } = options;
  const text = formatAddress(address);
  if (token === null && !insecure && !isLoopback(address.host)) {
    throw new MigrationError({ code: "LISTENS_OPENLY", address: text });
  }
  const app = Fastify({
    schemaController: { compilersFactory: NO_SCHEMAS },
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
  });
  const streams = new EventStreams(service);
  app.addHook("onRequest", callerGuard({ token, local: isLoopback(address.host) }));
  reportFailures(app, logger);
  route(app, service, streams, () => boundAddress(app));
  try {
    await app.listen({ host: address.host, port: address.port });
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new MigrationError({ code: "CANNOT_LISTEN", address: text, cause }, { cause: error });
  }
  return {
    address: boundAddress(app),
    close: async () => {
      await streams.close();
      await app.close();
    },
  };
}

function route(
  app: FastifyInstance,
  service: HostService,
  streams: EventStreams,
  control: () => Address,
): void {
  app.get("/status", (): HostStatus => {
    return { ...service.status(), control: formatAddress(control()) };
  });

  app.get("/events", (_request, reply) => {
    streams.open(reply);
  });

  app.post("/migrations", async (request, reply) => {
    const body = read(migrateBody, request.body);
    const start = () => service.migrate(body);
    if (read(migrateQuery, request.query).follow === "true") return streams.follow(reply, start);
    const { migrationId } = await start();
    return reply.code(202).header("location", `/migrations/${migrationId}`).send({ migrationId });
  });

  app.post("/estimates", (request) => service.estimate(read(estimateBody, request.body)));

  app.delete("/migrations/:id", (request, reply) => {
    service.cancel(read(idParameter, request.params).id, "a control request");
    return reply.code(202).send({});
  });

  app.post("/guests/:id/pause", async (request, reply) => {
    await service.pause(read(idParameter, request.params).id);
    return reply.code(204).send();
  });

  app.post("/guests/:id/resume", async (request, reply) => {
    const inDoubt = read(resumeQuery, request.query).inDoubt === "true";
    await service.resume(read(idParameter, request.params).id, { inDoubt });
    return reply.code(204).send();
  });

  app.delete("/guests/:id", async (request, reply) => {
    const force = read(discardQuery, request.query).force === "true";
    await service.discard(read(idParameter, request.params).id, { force });
    return reply.code(204).send();
  });

  app.get("/guests/:id/digest", (request) => service.digest(read(idParameter, request.params).id));
}

function read<Value>(schema: z.ZodType<Value>, found: unknown): Value {
  const result = schema.safeParse(found ?? {});
  if (result.success) return result.data;
  const detail = result.error.issues
    .map((issue) => `${issue.path.join(".") || "the request"}: ${issue.message}`)
    .join("; ");
  throw new MigrationError({ code: "USAGE", detail });
}

function reportFailures(app: FastifyInstance, logger: Logger): void {
  app.setNotFoundHandler((request, reply) => {
    const detail = `there is no ${request.method} ${request.url} on a control endpoint`;
    return refuse(reply, 404, { code: "USAGE", detail });
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    if (error instanceof MigrationError) {
      return refuse(reply, STATUS_OF[error.failure.code] ?? 500, error.failure);
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return refuse(reply, error.statusCode, { code: "USAGE", detail: error.message });
    }
    logger.error({ err: error }, "a control request failed");
    return reply
      .code(500)
      .send({ code: "INTERNAL", text: "this is a bug; the host's log says more" });
  });
}

function refuse(reply: FastifyReply, status: number, failure: Failure): FastifyReply {
  return reply.code(status).send({ code: failure.code, text: describe(failure) });
}

function boundAddress(app: FastifyInstance): Address {
  const { address, port } = app.server.address() as AddressInfo;
  return { host: address, port };
}
