import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Whether `presented` is the token that `expected` demands; anything is when none is demanded. Takes the
 * same time for every wrong token: digests are compared, so not even the length shows.
 */
export function isTokenRight(expected: string | null, presented: string | null): boolean {
  if (expected === null) return true;
  return timingSafeEqual(digest(expected), digest(presented ?? ""));
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
