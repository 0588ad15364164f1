import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { enterDirectory, listDirectory, runtimeDirectory } from "../../../src/host/directory.js";

async function freshDirectory(context: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "tristage-directory-"));
  context.after(() => rm(root, { recursive: true, force: true }));
  return join(root, "hosts");
}

/** The id of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ["--version"]).pid;
}

test("a host that entered is listed until it leaves", async (context) => {
  const directory = await freshDirectory(context);
  assert.deepEqual(await listDirectory(directory), []);
  const leave = await enterDirectory("127.0.0.1:7001", directory);
  assert.deepEqual(await listDirectory(directory), [
    { pid: process.pid, control: "127.0.0.1:7001" },
  ]);
  await leave();
  assert.deepEqual(await listDirectory(directory), []);
  await leave();
});

test("the file of a host whose process is gone is ignored and removed", async (context) => {
  const directory = await freshDirectory(context);
  await enterDirectory("127.0.0.1:7001", directory);
  const pid = deadPid();
  const stale = `${String(pid)}.json`;
  await writeFile(join(directory, stale), JSON.stringify({ pid, control: "127.0.0.1:9" }));
  const pids = (await listDirectory(directory)).map((entry) => entry.pid);
  assert.deepEqual(pids, [process.pid]);
  assert.deepEqual(await readdir(directory), [`${String(process.pid)}.json`]);
});

test("a file that makes no sense is not listed and does not hide the others", async (context) => {
  const directory = await freshDirectory(context);
  await enterDirectory("127.0.0.1:7001", directory);
  await writeFile(join(directory, `${String(process.ppid)}.json`), '{"pid":');
  await writeFile(join(directory, "notes.txt"), "not ours");
  assert.equal((await listDirectory(directory)).length, 1);
});

test("the directory is private to the user", async (context) => {
  const directory = await freshDirectory(context);
  await enterDirectory("127.0.0.1:7001", directory);
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
});

test("a directory that others may write to is refused", async (context) => {
  const directory = await freshDirectory(context);
  await mkdir(directory);
  await chmod(directory, 0o777);
  const refused = { failure: { code: "USAGE" } };
  await assert.rejects(enterDirectory("127.0.0.1:7001", directory), matches(refused));
  await assert.rejects(listDirectory(directory), matches(refused));
});

function matches(expected: { failure: { code: string } }) {
  return (error: unknown): boolean => {
    assert.equal((error as typeof expected).failure.code, expected.failure.code);
    return true;
  };
}

test("hosts meet in XDG_RUNTIME_DIR, or in a place of the user's own in the temporary folder", () => {
  assert.equal(runtimeDirectory({ XDG_RUNTIME_DIR: "/run/user/7" }), "/run/user/7/tristage");
  const fallback = runtimeDirectory({});
  assert.equal(fallback, join(tmpdir(), `tristage-${String(process.getuid?.())}`));
  assert.equal(runtimeDirectory({ XDG_RUNTIME_DIR: "" }), fallback);
});
