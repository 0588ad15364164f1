import { randomUUID } from "node:crypto";
import {
  closeSync,
  fdatasync,
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
import { failureOf, MigrationError } from "../failure.js";
import { lockFile } from "../platform/file-lock.js";

/**
 * What a host has done with the ownership of a generation of a guest:
 * - `born`: booted here.
 * - `handingOver`: about to leave; until a later record, who owns it is for the destination to say.
 * - `kept`: it stayed here after all.
 * - `released`: it is whole on the destination.
 * - `prepared`: may be handed over to this host at any moment from now on.
 * - `running`: it was handed over to this host.
 * - `refused`: it was not, and never will be with this generation.
 */
const RECORDS = [
  "born",
  "handingOver",
  "kept",
  "released",
  "prepared",
  "running",
  "refused",
] as const;
export type RecordKind = (typeof RECORDS)[number];

const lineSchema = z.object({
  at: z.string(),
  guestId: z.string(),
  generation: z.int(),
  kind: z.enum(RECORDS),
  /** Which boot of the machine wrote it. */
  boot: z.string(),
});

/**
 * A guest that was handed over has started long before. Sooner, the thread that syncs would take a core from those that
 * start it: a millisecond in which it stands still.
 */
const SYNC_DELAY_MS = 50;

/**
 * The ownership journal: one line of JSON for each record. It outlives the process, so that a host that was
 * restarted still gives the answer that it gave, and never claims a guest that it may not run.
 *
 * A record is on disk (`fdatasync`) before `write` returns, but for `running`, for which the guest would have to
 * stand still: that one is in the kernel's hands, where it survives this process, though not the machine. So
 * `prepared` is on disk before it, with the boot that wrote it: after another boot nobody knows whether
 * `running` was to follow, and `find` says so (docs/adr/0007).
 */
export class Journal {
  /** The last record of each generation, by guest. */
  private readonly last = new Map<string, Map<number, RecordKind | "uncertain">>();
  private readonly boot = bootId();
  private syncTimer: NodeJS.Timeout | undefined;
  private isSyncing = false;
  private isClosed = false;

  private constructor(
    readonly path: string,
    private readonly fd: number,
    /** No other host can open it meanwhile. */
    readonly isLocked: boolean,
  ) {}

  /** Opens `ownership.jsonl` in `directory`, which is made if need be. Throws JOURNAL_UNUSABLE or JOURNAL_IN_USE. */
  static open(directory: string): Journal {
    const path = join(directory, "ownership.jsonl");
    return usable(path, () => {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const fd = openSync(path, "a", 0o600);
      try {
        // Two hosts that write one journal would each answer without what the other has done.
        const locked = lockFile(fd);
        if (locked === false) throw new MigrationError({ code: "JOURNAL_IN_USE", path });
        const journal = new Journal(path, fd, locked === true);
        journal.load(readFileSync(path, "utf8"));
        return journal;
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    });
  }

  /** Throws JOURNAL_UNUSABLE, and then nothing may be done that the record was to cover. */
  write(guestId: string, generation: number, kind: RecordKind): void {
    const record = { at: timestamp(), guestId, generation, kind, boot: this.boot };
    usable(this.path, () => {
      this.append(Buffer.from(`${JSON.stringify(record)}\n`), kind !== "running");
    });
    if (kind === "running") this.syncSoon();
    this.note(guestId, generation, kind);
  }

  /**
   * Writes `refused`. Where the disk does not take it and the last record is `prepared`, it holds for this process alone: a later one
   * finds `prepared` and answers the same, or, after another boot, leaves it to a person.
   */
  refuse(guestId: string, generation: number): void {
    try {
      this.write(guestId, generation, "refused");
    } catch (error) {
      failureOf(error);
      if (this.find(guestId, generation) !== "prepared") throw error;
      this.note(guestId, generation, "refused");
    }
  }

  /** The last record of this generation; `uncertain` where the machine may have lost a later one. */
  find(guestId: string, generation: number): RecordKind | "uncertain" | undefined {
    return this.last.get(guestId)?.get(generation);
  }

  /** Whether the guest was handed over to another host after this generation, or may have been. */
  hasMovedOn(guestId: string, generation: number): boolean {
    const records = [...(this.last.get(guestId) ?? [])];
    return records.some(
      ([later, kind]) => later > generation && (kind === "handingOver" || kind === "released"),
    );
  }

  close(): void {
    clearTimeout(this.syncTimer);
    this.isClosed = true;
    // While it is synced by another thread, its number must not become another file's.
    if (!this.isSyncing) closeSync(this.fd);
  }

  private note(guestId: string, generation: number, kind: RecordKind | "uncertain"): void {
    const records = this.last.get(guestId);
    if (records === undefined) this.last.set(guestId, new Map([[generation, kind]]));
    else records.set(generation, kind);
  }

  /** All of `line`, or nothing. */
  private append(line: Buffer, sync: boolean): void {
    const { size } = fstatSync(this.fd);
    try {
      // A disk that is nearly full takes a part of it, and calls that no error.
      if (writeSync(this.fd, line) < line.byteLength) throw new Error("the disk is full");
      if (sync) fdatasyncSync(this.fd);
    } catch (error) {
      ftruncateSync(this.fd, size);
      throw error;
    }
  }

  /** Has the disk follow, while the guest runs. If it does not, `prepared` still tells the truth. */
  private syncSoon(): void {
    this.syncTimer ??= setTimeout(() => {
      this.syncTimer = undefined;
      this.isSyncing = true;
      fdatasync(this.fd, () => {
        this.isSyncing = false;
        if (this.isClosed) closeSync(this.fd);
      });
    }, SYNC_DELAY_MS);
  }

  private load(text: string): void {
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    for (const [index, line] of whole.split("\n").entries()) {
      if (line === "") continue;
      const record = lineSchema.safeParse(parseLine(line));
      if (!record.success) throw new Error(`line ${String(index + 1)} is not a record`);
      const { guestId, generation, kind, boot } = record.data;
      const isUncertain = kind === "prepared" && boot !== this.boot;
      this.note(guestId, generation, isUncertain ? "uncertain" : kind);
    }
    // A last line without its end was cut short by a crash before its `write` returned: nothing was
    // done that leans on it, and the next record must not be written behind it.
    if (whole !== text) ftruncateSync(this.fd, Buffer.byteLength(whole));
  }
}

/** Names the time since the machine was started; where it has no name, no two processes agree on one. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return randomUUID();
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
    if (error instanceof MigrationError) throw error;
    const cause = error instanceof Error ? error.message : String(error);
    throw new MigrationError({ code: "JOURNAL_UNUSABLE", path, cause }, { cause: error });
  }
}
