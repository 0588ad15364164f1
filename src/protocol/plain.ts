import { MAX_NESTING } from "./limits.js";

/**
 * MessagePack has extensions, and the library knows some that a stranger must not use: references that
 * unfold without end, records compiled to code, regular expressions. This walks over a value, creates
 * nothing, and says whether it is plain data: numbers, strings, booleans, null and undefined, bytes,
 * arrays and maps.
 */

/** Bytes of the values that have one length. 0xd4 is an extension: see `isUndefined`. */
const FIXED = new Map([
  ...[0xc0, 0xc2, 0xc3].map((token) => [token, 1] as const),
  ...[0xcc, 0xd0].map((token) => [token, 2] as const),
  ...[0xcd, 0xd1, 0xd4].map((token) => [token, 3] as const),
  ...[0xca, 0xce, 0xd2].map((token) => [token, 5] as const),
  ...[0xcb, 0xcf, 0xd3].map((token) => [token, 9] as const),
]);

/** Values that begin with a count: its bytes, and what it counts. */
const COUNTED = new Map<number, readonly [1 | 2 | 4, "bytes" | "values" | "pairs"]>([
  [0xc4, [1, "bytes"]],
  [0xc5, [2, "bytes"]],
  [0xc6, [4, "bytes"]],
  [0xd9, [1, "bytes"]],
  [0xda, [2, "bytes"]],
  [0xdb, [4, "bytes"]],
  [0xdc, [2, "values"]],
  [0xdd, [4, "values"]],
  [0xde, [2, "pairs"]],
  [0xdf, [4, "pairs"]],
]);

/** Why `bytes` is not exactly one MessagePack value of plain data; undefined when it is. */
export function plainDataProblem(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** How many values each map or array around `at` still waits for. */
  const open: number[] = [];
  let at = 0;
  for (;;) {
    if (at >= bytes.byteLength) return "it ends early";
    const { length, values } = shapeOf(view, at);
    if (length === 0) return `it holds a value of type 0x${view.getUint8(at).toString(16)}`;
    at += length;
    if (at + values > bytes.byteLength) return "it ends early";
    if (values > 0) {
      if (open.length === MAX_NESTING) return `it nests deeper than ${String(MAX_NESTING)}`;
      open.push(values);
      continue;
    }
    // A value has ended, and with it those around it that waited for it alone.
    for (let left = open.pop(); left !== undefined; left = open.pop()) {
      if (left === 1) continue;
      open.push(left - 1);
      break;
    }
    if (open.length === 0) return at === bytes.byteLength ? undefined : "bytes follow it";
  }
}

/** Bytes of the value at `at` without the values in it, and how many those are; length 0 if refused. */
function shapeOf(view: DataView, at: number): { length: number; values: number } {
  const token = view.getUint8(at);
  if (token < 0x80 || token >= 0xe0) return { length: 1, values: 0 };
  if (token < 0x90) return { length: 1, values: (token & 0x0f) * 2 };
  if (token < 0xa0) return { length: 1, values: token & 0x0f };
  if (token < 0xc0) return { length: 1 + (token & 0x1f), values: 0 };
  const fixed = FIXED.get(token);
  if (fixed !== undefined) {
    return { length: token !== 0xd4 || isUndefined(view, at) ? fixed : 0, values: 0 };
  }
  const [countBytes, unit] = COUNTED.get(token) ?? [];
  if (countBytes === undefined) return { length: 0, values: 0 };
  const head = 1 + countBytes;
  if (at + head > view.byteLength) return { length: head, values: 0 };
  const count = readCount(view, at + 1, countBytes);
  if (unit === "bytes") return { length: head + count, values: 0 };
  return { length: head, values: unit === "pairs" ? count * 2 : count };
}

function readCount(view: DataView, at: number, countBytes: 1 | 2 | 4): number {
  if (countBytes === 1) return view.getUint8(at);
  return countBytes === 2 ? view.getUint16(at) : view.getUint32(at);
}

/** The library writes `undefined` as one byte of extension 0. */
function isUndefined(view: DataView, at: number): boolean {
  return at + 3 <= view.byteLength && view.getUint16(at + 1) === 0;
}
