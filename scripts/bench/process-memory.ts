import { readFileSync } from "node:fs";

export interface Memory {
  /** The most memory that the process ever held. */
  readonly peakBytes: number;
  /** Of it, what is the file of Node.js and its libraries: all processes share that. */
  readonly fileBytes: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) * 1024;
  return { peakBytes: bytes("VmHWM"), fileBytes: bytes("RssFile") };
}
