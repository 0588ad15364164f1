import { request as httpRequest, type IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";
import { z } from "zod";
import { MigrationError } from "../failure.js";
import type { EstimateEvent, HostEvent, HostStatus } from "../host/events.js";
import type {
  DiscardRequest,
  EstimateRequest,
  MigrateRequest,
  ResumeRequest,
} from "../host/service.js";
import { formatAddress, type Address } from "../transport/address.js";

/** A host that does not answer at once is stuck; it has nothing to compute for these. */
const ANSWER_TIMEOUT_MS = 5000;
/** A guest obeys when what was asked of it before is done: the digest of 4 GiB, an operation that takes long. */
const GUEST_TIMEOUT_MS = 60_000;
/** What probes of a slow link add to the time that a guest is watched; see protocol/limits.ts. */
const PROBING_MS = 30_000;

const refusal = z.object({ code: z.string(), text: z.string() });
const estimated = z.looseObject({
  event: z.literal("estimate"),
  predictions: z.array(z.unknown()),
});
const answered = z.looseObject({
  host: z.string(),
  guests: z.array(z.unknown()),
  migrations: z.array(z.unknown()),
});

interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  /** The host has this long to begin its answer. */
  readonly patienceMs: number;
  /** Gives up earlier, and also on what comes after the beginning. */
  readonly signal?: AbortSignal;
}

/** A migration that runs on the host, as its caller sees it. */
export interface FollowedMigration {
  readonly migrationId: string;
  /** Up to the report. Throws `CONNECTION_LOST` when the host goes away before. */
  readonly events: AsyncIterable<HostEvent>;
}

/**
 * Talks to a host's control endpoint. What the host refuses is thrown as `PEER_FAILED` with the host's own
 * code; a host that cannot be reached as `CANNOT_CONNECT`, and one that takes the call and says nothing as
 * `PEER_SILENT`.
 */
export class ControlClient {
  private readonly where: string;

  constructor(
    private readonly address: Address,
    private readonly token: string | null,
  ) {
    this.where = formatAddress(address);
  }

  async status(): Promise<HostStatus> {
    const patienceMs = ANSWER_TIMEOUT_MS;
    const response = await this.call({ method: "GET", path: "/status", patienceMs });
    const status = await this.json(response);
    if (!answered.safeParse(status).success) throw this.stranger("its status makes no sense");
    return status as HostStatus;
  }

  async estimate(request: EstimateRequest): Promise<EstimateEvent> {
    const patienceMs = ANSWER_TIMEOUT_MS + PROBING_MS + (request.durationMs ?? 0);
    const path = "/estimates";
    const response = await this.call({ method: "POST", path, body: request, patienceMs });
    const estimate = await this.json(response);
    if (!estimated.safeParse(estimate).success) throw this.stranger("its estimate makes no sense");
    return estimate as EstimateEvent;
  }

  /**
   * Starts a migration and follows it; `signal` stops following, and the migration goes on. A host says at
   * once whether it starts one; how long that takes is not limited.
   */
  async migrate(request: MigrateRequest, signal: AbortSignal): Promise<FollowedMigration> {
    const path = "/migrations?follow=true";
    const patienceMs = ANSWER_TIMEOUT_MS;
    const response = await this.call({ method: "POST", path, body: request, patienceMs, signal });
    const migrationId = response.headers.location?.split("/").at(-1);
    if (migrationId === undefined) throw this.stranger("it does not name the migration");
    return { migrationId, events: this.events(response) };
  }

  cancel(migrationId: string): Promise<void> {
    const path = `/migrations/${encodeURIComponent(migrationId)}`;
    return this.tell("DELETE", path, ANSWER_TIMEOUT_MS);
  }

  pause(guestId: string): Promise<void> {
    return this.tell("POST", `/guests/${encodeURIComponent(guestId)}/pause`);
  }

  resume(guestId: string, { inDoubt = false }: ResumeRequest = {}): Promise<void> {
    const query = inDoubt ? "?inDoubt=true" : "";
    return this.tell("POST", `/guests/${encodeURIComponent(guestId)}/resume${query}`);
  }

  discard(guestId: string, { force = false }: DiscardRequest = {}): Promise<void> {
    const query = force ? "?force=true" : "";
    return this.tell("DELETE", `/guests/${encodeURIComponent(guestId)}${query}`);
  }

  /** Asks for something that has no answer but that it is done. */
  private async tell(
    method: Call["method"],
    path: string,
    patienceMs = GUEST_TIMEOUT_MS,
  ): Promise<void> {
    const response = await this.call({ method, path, patienceMs });
    response.resume();
  }

  private async *events(response: IncomingMessage): AsyncGenerator<HostEvent> {
    let rest = "";
    try {
      for await (const chunk of response.setEncoding("utf8")) {
        const lines = (rest + String(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) yield JSON.parse(line) as HostEvent;
      }
    } catch (error) {
      throw this.lost(error);
    }
  }

  /** Sends one request; resolves with the response when the host agreed. */
  private async call(call: Call): Promise<IncomingMessage> {
    const { method, path, body, patienceMs, signal } = call;
    const content = body === undefined ? undefined : JSON.stringify(body);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(
        {
          ...{ host: this.address.host, port: this.address.port, method, path },
          ...(signal === undefined ? {} : { signal }),
          agent: false,
          headers: {
            ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
            ...(content === undefined ? {} : { "content-type": "application/json" }),
          },
        },
        resolve,
      );
      const timer = setTimeout(() => request.destroy(this.silent(patienceMs)), patienceMs);
      request.once("response", () => {
        clearTimeout(timer);
      });
      request.once("error", (error) => {
        clearTimeout(timer);
        reject(error instanceof MigrationError ? error : this.unreachable(error));
      });
      request.end(content);
    });
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    const refused = refusal.safeParse(await this.json(response));
    if (!refused.success) throw this.stranger(`HTTP status ${String(status)}`);
    const { code, text } = refused.data;
    throw new MigrationError({ code: "PEER_FAILED", peerCode: code, text });
  }

  /** The whole body, which comes with its beginning; undefined when it is no JSON. */
  private async json(response: IncomingMessage): Promise<unknown> {
    const patienceMs = ANSWER_TIMEOUT_MS;
    const timer = setTimeout(() => response.destroy(this.silent(patienceMs)), patienceMs);
    const body = await readText(response)
      .catch((error: unknown) => {
        throw error instanceof MigrationError ? error : this.lost(error);
      })
      .finally(() => {
        clearTimeout(timer);
      });
    try {
      return JSON.parse(body);
    } catch {
      return undefined;
    }
  }

  private unreachable(error: Error): MigrationError {
    const { code } = error as NodeJS.ErrnoException;
    const cause = code ?? error.message;
    return new MigrationError({ code: "CANNOT_CONNECT", address: this.where, cause });
  }

  private silent(silentMs: number): MigrationError {
    return new MigrationError({ code: "PEER_SILENT", connection: "control", silentMs });
  }

  private lost(error: unknown): MigrationError {
    const cause = error instanceof Error ? error.message : String(error);
    return new MigrationError({ code: "CONNECTION_LOST", connection: "control", cause });
  }

  private stranger(detail: string): MigrationError {
    const text = `${this.where} does not answer as a tristage host does (${detail}); check the address`;
    return new MigrationError({ code: "PEER_FAILED", peerCode: "NOT_TRISTAGE", text });
  }
}
