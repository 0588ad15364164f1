import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { MigrationError } from "../failure.js";

/**
 * The hosts of this user on this machine: one small file per process, so that `tristage status` finds them
 * without being told where they listen.
 */
const entrySchema = z.object({ pid: z.int().min(1), control: z.string() });

/** A host of this user and the address of its control endpoint. */
export type DirectoryEntry = z.infer<typeof entrySchema>;

/** Where hosts leave their files: private to the user, and gone after a reboot. */
export function runtimeDirectory(environment = process.env): string {
  const runtime = environment["XDG_RUNTIME_DIR"];
  if (runtime !== undefined && runtime !== "") return join(runtime, "tristage");
  return join(tmpdir(), `tristage-${String(process.getuid?.() ?? userInfo().username)}`);
}

/** Enters this process; the result takes it out again. Rejects when `directory` cannot be used. */
export async function enterDirectory(
  control: string,
  directory = runtimeDirectory(),
): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await refuseForeign(directory);
  const path = join(directory, `${String(process.pid)}.json`);
  const entry: DirectoryEntry = { pid: process.pid, control };
  await writeFile(path, JSON.stringify(entry), { mode: 0o600 });
  return () => rm(path, { force: true });
}

/** The hosts that are alive, oldest process id first; files that dead ones left are removed. */
export async function listDirectory(directory = runtimeDirectory()): Promise<DirectoryEntry[]> {
  if (!(await exists(directory))) return [];
  await refuseForeign(directory);
  const entries: DirectoryEntry[] = [];
  for (const name of await readdir(directory)) {
    const pid = Number(/^(\d+)\.json$/.exec(name)?.[1]);
    if (Number.isNaN(pid)) continue;
    const path = join(directory, name);
    if (!isAlive(pid)) await rm(path, { force: true });
    else entries.push(...(await readEntry(path)));
  }
  return entries.sort((a, b) => a.pid - b.pid);
}

/** One entry, or none while the file is being written or has just been removed. */
async function readEntry(path: string): Promise<DirectoryEntry[]> {
  try {
    return [entrySchema.parse(JSON.parse(await readFile(path, "utf8")))];
  } catch {
    return [];
  }
}

/** The place in the shared temporary folder has a name that anyone can guess and take first. */
async function refuseForeign(directory: string): Promise<void> {
  const { uid, mode } = await lstat(directory);
  const mine = process.getuid === undefined || uid === process.getuid();
  const others = process.platform === "win32" ? 0 : mode & 0o022;
  if (!mine || others !== 0) {
    throw new MigrationError({
      code: "USAGE",
      detail: `${directory} can be written by someone else; remove it, or set XDG_RUNTIME_DIR`,
    });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is such a process, and it is someone else's.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
