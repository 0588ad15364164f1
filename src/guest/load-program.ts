import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MigrationError } from "../failure.js";
import { formatBytes } from "../units.js";
import type { GuestProgram } from "./program.js";
import { BUILTIN_PROGRAMS } from "./programs/builtin.js";

interface LoadedProgram {
  readonly program: GuestProgram;
  /** `builtin:kv`, or the absolute path of a module. `loadProgram` takes either, on any host. */
  readonly source: string;
  /** Of the module's file, hexadecimal; null for a built-in. */
  readonly sha256: string | null;
}

/** A program is some kilobytes of source. */
const MAX_MODULE_BYTES = 16 * 1024 * 1024;

const BUILTIN_PREFIX = "builtin:";

/**
 * A built-in guest by its name, or a user's guest by the path of its ES module: anything with a
 * slash, or that ends in `.js` or `.mjs`. The module gives the program as default export or as
 * `program`.
 *
 * `sha256` is what the file must be, null for a built-in; undefined takes any file. Nothing of another file is
 * executed (docs/adr/0017). Rejects with a `MigrationError` of GUEST_UNKNOWN, GUEST_MODULE_MISSING,
 * GUEST_MODULE_INVALID or GUEST_MODULE_DIFFERS.
 */
export async function loadProgram(
  nameOrPath: string,
  sha256?: string | null,
): Promise<LoadedProgram> {
  const isPath = /[/\\]|\.m?js$/.test(nameOrPath);
  return isPath ? loadModule(resolve(nameOrPath), sha256) : findBuiltin(nameOrPath);
}

function findBuiltin(text: string): LoadedProgram {
  const name = text.startsWith(BUILTIN_PREFIX) ? text.slice(BUILTIN_PREFIX.length) : text;
  const program = BUILTIN_PROGRAMS.find((builtin) => builtin.name === name);
  if (program === undefined) {
    const known = BUILTIN_PROGRAMS.map((builtin) => builtin.name);
    throw new MigrationError({ code: "GUEST_UNKNOWN", name, known });
  }
  return { program, source: BUILTIN_PREFIX + name, sha256: null };
}

async function loadModule(path: string, expected?: string | null): Promise<LoadedProgram> {
  const bytes = await readModule(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (expected !== undefined && sha256 !== expected) {
    throw new MigrationError({ code: "GUEST_MODULE_DIFFERS", path });
  }
  const url = pathToFileURL(path);
  url.search = sha256; // or a file that was edited meanwhile would come from the module cache
  const module = await import(url.href).then(
    (namespace: Record<string, unknown>) => namespace,
    (cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new MigrationError({ code: "GUEST_MODULE_INVALID", path, detail }, { cause });
    },
  );
  const program = module["default"] ?? module["program"];
  const detail = findFlaw(program);
  if (detail !== null) throw new MigrationError({ code: "GUEST_MODULE_INVALID", path, detail });
  return { program: program as GuestProgram, source: path, sha256 };
}

/** A path may come from another host: a device or a pipe would be read without end. */
async function readModule(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (found.isFile() && found.size <= MAX_MODULE_BYTES) return await readFile(path);
  } catch (cause) {
    throw new MigrationError({ code: "GUEST_MODULE_MISSING", path }, { cause });
  }
  const detail = `it must be a file of at most ${formatBytes(MAX_MODULE_BYTES)}`;
  throw new MigrationError({ code: "GUEST_MODULE_INVALID", path, detail });
}

/** What keeps `program` from being a guest program; null for nothing. */
function findFlaw(program: unknown): string | null {
  if (typeof program !== "object" || program === null) {
    return 'it must export an object, as default or as "program"';
  }
  const { name, summary, settings, boot, step, operationsPerSecond } = program as Record<
    string,
    unknown
  >;
  if (typeof name !== "string" || name === "") return '"name" must be a text';
  if (typeof summary !== "string") return '"summary" must be a text';
  if (typeof settings !== "object" || settings === null) {
    return '"settings" must be an object; {} if the guest has no options';
  }
  for (const [key, setting] of Object.entries(settings as Record<string, unknown>)) {
    const { summary, default: fallback } = (setting ?? {}) as Record<string, unknown>;
    if (typeof summary !== "string" || typeof fallback !== "string") {
      return `"settings.${key}" must have the texts "summary" and "default"`;
    }
  }
  if (typeof boot !== "function") return '"boot" must be a function';
  if (typeof step !== "function") return '"step" must be a function';
  if (operationsPerSecond !== undefined && typeof operationsPerSecond !== "function") {
    return '"operationsPerSecond" must be a function or absent';
  }
  return null;
}
