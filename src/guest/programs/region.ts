import { PAGE_BYTES } from "../../memory/geometry.js";
import { formatBytes, parseSize } from "../../units.js";
import { BadSetting } from "../program.js";
import type { Settings } from "../settings.js";

/** Whole pages that belong to one vCPU. */
export interface Region {
  /** Bytes; a multiple of `PAGE_BYTES`. */
  readonly address: number;
  readonly pageCount: number;
}

/** Cuts all memory into one region per vCPU; sizes differ by one page at most. */
export function partition(ramBytes: number, vcpuCount: number): readonly Region[] {
  let address = 0;
  return evenParts(ramBytes / PAGE_BYTES, vcpuCount).map((pageCount) => {
    const region = { address, pageCount };
    address += pageCount * PAGE_BYTES;
    return region;
  });
}

/**
 * The pages that the vCPUs work on: the share of memory that the option `key` names, but at least a
 * page for each vCPU. It is spread evenly, each part at the start of its vCPU's region.
 */
export function workingSets(
  settings: Settings,
  key: string,
  ramBytes: number,
  vcpuCount: number,
): readonly Region[] {
  const pageCount = Math.max(vcpuCount, sharePages(settings, key, ramBytes));
  const parts = evenParts(pageCount, vcpuCount);
  return partition(ramBytes, vcpuCount).map(({ address }, vcpu) => ({
    address,
    pageCount: parts[vcpu] ?? 0,
  }));
}

/**
 * The share of memory that the option `key` names, in whole pages, rounded: `25%`, `0.25`, or a
 * size such as `16MiB`. Throws `BadSetting` for anything else and for more than there is.
 */
export function sharePages(settings: Settings, key: string, ramBytes: number): number {
  const text = settings.text(key).trim();
  const [, percent] = /^(\d+(?:\.\d+)?)\s*%$/.exec(text) ?? [];
  const plain = percent === undefined ? Number(text) : Number(percent) / 100;
  const bytes = plain >= 0 && plain <= 1 && text !== "" ? plain * ramBytes : parseSize(text);
  if (bytes !== undefined && bytes <= ramBytes) return Math.round(bytes / PAGE_BYTES);
  throw new BadSetting(
    key,
    `"${text}" is not a share of memory; give a percentage (25%), a fraction (0.25) ` +
      `or a size up to ${formatBytes(ramBytes)}`,
  );
}

/** The remainder goes to the first parts, so a smaller whole never has a larger part. */
function evenParts(whole: number, count: number): readonly number[] {
  const least = Math.floor(whole / count);
  const remainder = whole % count;
  return Array.from({ length: count }, (_, part) => least + (part < remainder ? 1 : 0));
}
