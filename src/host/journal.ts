import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { timestamp } from "../clock.js";
import { MigrationError } from "../failure.js";

/**
 * What a host has done with the ownership of a generation of a guest:
 * - `born`: booted here.
 * - `handingOver`: about to leave; until a later record, who owns it is for the destination to say.
 * - `kept`: it stayed here after all.
 * - `released`: it is whole on the destination.
 * - `running`: it was handed over to this host.
 * - `refused`: it was not, and never will be with this generation.
 */
const RECORDS = ["born", "handingOver", "kept", "released", "running", "refused"] as const;
export type RecordKind = (typeof RECORDS)[number];

const lineSchema = z.object({
  at: z.string(),
  guestId: z.string(),
  generation: z.int(),
  kind: z.enum(RECORDS),
});

/**
 * The ownership journal: one line of JSON for each record, on disk (`fdatasync`) before the call returns.
 * It outlives the process, so that a host that was restarted still gives the answer that it gave, and never
 * claims a guest that it may not run.
 */
export class Journal {
  private readonly last = new Map<string, RecordKind>();

  private constructor(
    private readonly path: string,
    private readonly fd: number,
  ) {}

  /** Opens `ownership.jsonl` in `directory`, which is made if need be. Throws JOURNAL_UNUSABLE. */
  static open(directory: string): Journal {
    const path = join(directory, "ownership.jsonl");
    return usable(path, () => {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const journal = new Journal(path, openSync(path, "a", 0o600));
      journal.load(readFileSync(path, "utf8"));
      return journal;
    });
  }

  /** Throws JOURNAL_UNUSABLE, and then nothing may be done that the record was to cover. */
  write(guestId: string, generation: number, kind: RecordKind): void {
    const record = { at: timestamp(), guestId, generation, kind };
    usable(this.path, () => {
      this.append(Buffer.from(`${JSON.stringify(record)}\n`));
    });
    this.last.set(key(guestId, generation), kind);
  }

  /** The last record of this generation. */
  find(guestId: string, generation: number): RecordKind | undefined {
    return this.last.get(key(guestId, generation));
  }

  close(): void {
    closeSync(this.fd);
  }

  /** All of `line`, or nothing. */
  private append(line: Buffer): void {
    const { size } = fstatSync(this.fd);
    try {
      // A disk that is nearly full takes a part of it, and calls that no error.
      if (writeSync(this.fd, line) < line.byteLength) throw new Error("the disk is full");
      fdatasyncSync(this.fd);
    } catch (error) {
      ftruncateSync(this.fd, size);
      throw error;
    }
  }

  private load(text: string): void {
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    for (const [index, line] of whole.split("\n").entries()) {
      if (line === "") continue;
      const record = lineSchema.safeParse(parseLine(line));
      if (!record.success) throw new Error(`line ${String(index + 1)} is not a record`);
      this.last.set(key(record.data.guestId, record.data.generation), record.data.kind);
    }
    // A last line without its end was cut short by a crash before its `write` returned: nothing was
    // done that leans on it, and the next record must not be written behind it.
    if (whole !== text) ftruncateSync(this.fd, Buffer.byteLength(whole));
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function usable<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new MigrationError({ code: "JOURNAL_UNUSABLE", path, cause }, { cause: error });
  }
}

function key(guestId: string, generation: number): string {
  return `${guestId} ${String(generation)}`;
}
