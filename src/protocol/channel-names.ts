/** What `attach` calls the connections of a migration, besides the control connection. */

/** Pages come on it that a vCPU waits for, or is likely to touch first. */
export const URGENT = "urgent";

/** One for each bulk channel: `bulk-0` and so on. */
export function bulkChannels(count: number): readonly string[] {
  return numbered("bulk", count);
}

/** One for each vCPU, which asks for pages on it: `fault-0` and so on. */
export function faultLines(vcpuCount: number): readonly string[] {
  return numbered("fault", vcpuCount);
}

function numbered(name: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${String(index)}`);
}
