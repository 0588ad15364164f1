import type { FastifyReply, FastifyRequest } from "fastify";
import { isLoopback } from "../transport/address.js";
import { isTokenRight } from "../transport/token.js";

export interface CallerGuardOptions {
  readonly token: string | null;
  /** The endpoint listens on loopback. */
  readonly local: boolean;
}

/**
 * Lets only those in who may steer the host.
 *
 * A browser on this machine reaches loopback too, on behalf of any web page. It says `Origin` when a page
 * of another site sends something, and it says the page's own name in `Host` when that name was made to
 * point here; a control client does neither.
 */
export function callerGuard({ token, local }: CallerGuardOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (request.headers.origin !== undefined) {
      await refuse(reply, 403, "BROWSER_REFUSED", "web pages may not use the control endpoint");
    } else if (local && !isLoopback(hostOf(request))) {
      await refuse(
        reply,
        403,
        "BROWSER_REFUSED",
        "address this endpoint as 127.0.0.1 or localhost",
      );
    } else if (!isTokenRight(token, bearerOf(request))) {
      await refuse(
        reply,
        401,
        "TOKEN_WRONG",
        "the token does not match; give the host's --token-file",
      );
    }
  };
}

function hostOf(request: FastifyRequest): string {
  const { hostname } = request;
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

function bearerOf(request: FastifyRequest): string | null {
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? null;
}

async function refuse(
  reply: FastifyReply,
  status: number,
  code: string,
  text: string,
): Promise<void> {
  await reply.code(status).send({ code, text });
}
