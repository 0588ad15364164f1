import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { Told } from "./events.js";
import type { HostService } from "./service.js";

/** A reader this far behind has stopped reading; keeping the rest for it would cost the host's memory. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

/** How long a closing endpoint waits for readers to take what is left. */
const FAREWELL_MS = 1000;

/** Streams of events to HTTP clients, one line of JSON each. */
export class EventStreams {
  private readonly responses = new Set<ServerResponse>();

  constructor(private readonly service: Pick<HostService, "watch">) {}

  /** Sends every event from now on, until the client leaves. */
  open(reply: FastifyReply): void {
    this.watch(reply, this.begin(reply, 200, {}));
  }

  /**
   * Starts a migration and sends its events up to its report; the `location` header names it. Watches
   * before it starts, so that no event falls between.
   */
  async follow(
    reply: FastifyReply,
    start: () => Promise<{ readonly migrationId: string }>,
  ): Promise<void> {
    const early: Told[] = [];
    const stop = this.service.watch((event) => early.push(event));
    try {
      const { migrationId } = await start();
      const line = this.begin(reply, 202, { location: `/migrations/${migrationId}` });
      const forward = (event: Told): void => {
        if (!("migrationId" in event) || event.migrationId !== migrationId) return;
        line(event);
        if (event.event === "report") reply.raw.end();
      };
      early.forEach(forward);
      this.watch(reply, forward);
    } finally {
      stop();
    }
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => {
      for (const response of this.responses) response.destroy();
    }, FAREWELL_MS);
    await Promise.all([...this.responses].map(end));
    clearTimeout(timer);
  }

  private begin(reply: FastifyReply, status: number, headers: OutgoingHttpHeaders) {
    const response = reply.hijack().raw;
    response.writeHead(status, { "content-type": "application/x-ndjson", ...headers });
    response.flushHeaders();
    return (event: Told): void => {
      if (response.writableEnded) return;
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
      else response.write(`${JSON.stringify(event)}\n`);
    };
  }

  private watch({ raw: response }: FastifyReply, listener: (event: Told) => void): void {
    if (response.closed) return;
    const stop = this.service.watch(listener);
    this.responses.add(response);
    response.once("close", () => {
      stop();
      this.responses.delete(response);
    });
  }
}

/** Resolves when the last line is with the network, or the client has gone. */
function end(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once("close", resolve).end();
  });
}
