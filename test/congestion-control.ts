import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { libc } from "../src/platform/libc.js";

/** Of Linux, the same numbers on every processor. */
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

/** Whether the C library can be called here; why not, for tests that are skipped then. */
export const WITHOUT_LIBC = libc() === undefined ? "the C library cannot be called here" : false;

/** The system's own way. */
export function congestionControlHere(): string {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim();
  } catch {
    return "reno";
  }
}

/** How TCP sends on the descriptor, by its name in the kernel; undefined for what is no TCP connection. */
export function congestionControlOf(fd: number): string | undefined {
  const library = libc();
  assert.ok(library !== undefined);
  const getsockopt = library.handle.func(
    "int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)",
  ) as (fd: number, level: number, option: number, value: Buffer, length: number[]) => number;
  const name = Buffer.alloc(16);
  if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, [name.length]) !== 0) return undefined;
  return name.toString("latin1").replace(/\0.*$/, "");
}
