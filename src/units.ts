/**
 * Sizes and rates as people write them.
 * A size is `512MiB`, `1GiB`, `64k`, `50MB`, `4096`; a rate is `1Gbit`, `100Mbit/s`, `50MB/s`, `2MiB/s`;
 * a duration is `50ms`, `1.5s`, `2min`.
 */

const BINARY = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;
const DECIMAL = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 } as const;

type Prefix = keyof typeof BINARY;

function scale(prefix: string, table: Readonly<Record<Prefix, number>>): number {
  return prefix === "" ? 1 : table[prefix.toLowerCase() as Prefix];
}

/**
 * Bytes, or undefined when `text` is not a size. `KiB`, `MiB`, … and a bare `k`, `M`, … are powers
 * of two; `kB`, `MB`, … are powers of ten.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = "", prefix = "", suffix = ""] = match;
  const table = suffix.toLowerCase() === "b" ? DECIMAL : BINARY;
  const bytes = Number(digits) * scale(prefix, table);
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/**
 * Bytes per second, or undefined when `text` is not a rate. `bit` units are decimal and divided by
 * eight; byte units are read as sizes are.
 */
export function parseRate(text: string): number | undefined {
  const plain = text.trim().replace(/\/s$|ps$/i, "");
  // As network people write them, `1Gb/s` is bits and `1GB/s` is bytes.
  const bits = /^(\d+(?:\.\d+)?)\s*([kmgtKMGT]?)(?:[bB]it|b)$/.exec(plain);
  if (bits === null) return parseSize(plain);
  const [, digits = "", prefix = ""] = bits;
  return (Number(digits) * scale(prefix, DECIMAL)) / 8;
}

const MS_OF_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000 };

/**
 * Milliseconds, or undefined when `text` is not a duration. A bare number is one only where `bareUnit` says of
 * what: people who leave the unit out mean now one and now the other.
 */
export function parseDuration(text: string, bareUnit?: "s"): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, digits = "", unit = bareUnit ?? ""] = match;
  const scaleMs = MS_OF_UNIT[unit.toLowerCase()];
  return scaleMs === undefined ? undefined : Number(digits) * scaleMs;
}

/** `1.5 GiB`, `512 MiB`, `4096 B`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${trim(value)} ${units[unit] ?? ""}`;
}

/** `3.41 GB/s`, `120 MB/s`, decimal as network people count. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatCount(bytesPerSecond, ["", "k", "M", "G", "T"])}B/s`;
}

/** `1.23 M`, `456 k`, `12`: a count with three digits that matter. */
export function formatCount(count: number, prefixes = ["", "k", "M", "G", "T"]): string {
  let value = count;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < prefixes.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${trim(value)} ${prefixes[unit] ?? ""}`;
}

/** `980 µs`, `3.2 ms`, `1.25 s`. */
export function formatMs(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${trim(ms)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

function trim(value: number): string {
  if (Number.isInteger(value) || value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}
