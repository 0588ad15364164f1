import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { BadSetting } from "../program.js";
import type { KeyValue } from "./kv-builder.js";

/** About as much as a YCSB record has. */
const MAX_VALUE_BYTES = 1024;

const NEWLINE = 0x0a;
const SPACE = 0x20;
/** A file with a zero byte among its first ones is binary, as git sees it. */
const BINARY_PROBE_BYTES = 8000;

/**
 * The text of the file or folder `path` without end, round after round. A record is a paragraph:
 * lines up to an empty one, as many whole lines as a value holds. Its key is `notes/today.txt:12`,
 * the file and the line where it begins; in the second round `notes/today.txt:12#2`. Folders are
 * read in the order of their names; binary files and symbolic links are left out.
 *
 * Throws `BadSetting` for `data` when nothing there can be read as text.
 */
export function* textRecords(path: string): Generator<KeyValue> {
  const files = readable(() => [...listFiles(path)]);
  for (let round = 1; ; round++) {
    let found = false;
    const suffix = round === 1 ? "" : `#${String(round)}`;
    for (const file of files) {
      const bytes = readable(() => readFileSync(file.path));
      if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0)) continue;
      for (const { place, start, end } of paragraphs(bytes)) {
        found = true;
        const key = Buffer.from(`${file.name}:${place}${suffix}`);
        yield { key, value: bytes.subarray(start, end) };
      }
    }
    if (!found) throw new BadSetting("data", `there is no text in ${path}`);
  }
}

interface TextFile {
  readonly path: string;
  /** Within the folder, with `/` between its parts. */
  readonly name: string;
}

function* listFiles(path: string, name = ""): Generator<TextFile> {
  if (statSync(path).isFile()) {
    yield { path, name: name === "" ? basename(path) : name };
    return;
  }
  const entries = readdirSync(path, { withFileTypes: true });
  const kept = entries.filter((entry) => entry.isFile() || entry.isDirectory());
  const names = kept.map((entry) => entry.name).sort(); // by code unit: alike on every machine
  for (const child of names) {
    yield* listFiles(join(path, child), name === "" ? child : `${name}/${child}`);
  }
}

function readable<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new BadSetting("data", error instanceof Error ? error.message : String(error));
  }
}

/** A stretch of a file's bytes. */
interface Stretch {
  /** `line`, or `line:column` within a line longer than a value. Both count from 1. */
  readonly place: string;
  readonly start: number;
  end: number;
}

function* paragraphs(bytes: Uint8Array): Generator<Stretch> {
  let paragraph: Stretch | undefined;
  for (const line of lines(bytes)) {
    const blank = isBlank(bytes, line);
    if (paragraph && (blank || line.end - paragraph.start > MAX_VALUE_BYTES)) {
      yield paragraph;
      paragraph = undefined;
    }
    if (blank) continue;
    paragraph ??= line;
    paragraph.end = line.end;
  }
  if (paragraph) yield paragraph;
}

function isBlank(bytes: Uint8Array, { start, end }: Stretch): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! > SPACE) return false;
  return true;
}

/** Lines without their ends; one longer than a value comes in pieces. */
function* lines(bytes: Uint8Array): Generator<Stretch> {
  let start = 0;
  for (let line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    let piece = start;
    do {
      const place = piece === start ? String(line) : `${String(line)}:${String(piece - start + 1)}`;
      const next = Math.min(end, piece + MAX_VALUE_BYTES);
      yield { place, start: piece, end: next };
      piece = next;
    } while (piece < end);
    start = end + 1;
  }
}
