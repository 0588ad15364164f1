import { libc } from "../src/platform/libc.js";

/** Why a test of locks is skipped; false where there are locks. */
export const noLocks = libc() === undefined && "this system has no locks that we know of";
