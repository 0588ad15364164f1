import { libc } from "./libc.js";

/** Of Linux, the same numbers on every processor that Node.js has builds for. */
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;

/** Has the kernel hold about so many bytes of what is written to the socket `fd`. Returns whether it does. */
export function limitSendQueue(fd: number, byteCount: number): boolean {
  const library = libc();
  if (library === undefined) return false;
  const setsockopt = library.handle.func(
    "int setsockopt(int, int, int, const int32_t *, uint32_t)",
  ) as (fd: number, level: number, option: number, value: Int32Array, length: number) => number;
  const value = Int32Array.of(byteCount);
  return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, value.byteLength) === 0;
}
