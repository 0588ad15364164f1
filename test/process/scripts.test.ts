import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { migrateOnce } from "../../scripts/bench/run.js";
import { inRepository } from "../repository.js";

function startDemo(...options: readonly string[]) {
  const argv = [inRepository("dist/scripts/demo.js"), "--memory", "16MiB", ...options];
  return spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  const [code] = (await once(child, "close")) as unknown[];
  return code;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("the demo migrates a guest and finds it equal to one that never moved", async () => {
  const demo = startDemo("--seconds", "0.2");
  const [code, output] = await Promise.all([exitCode(demo), text(demo.stdout)]);
  assert.equal(code, 0, output);
  assert.match(output, /^✓ three-stage migration of kv: completed$/m);
  assert.match(output, /^✓ byte for byte the guest that never moved: [\d,]+ requests, .+\n$/m);
});

test("the demo ends both hosts when Ctrl-C ends it", async () => {
  const demo = startDemo("--seconds", "60");
  const ended = exitCode(demo);
  const pids: number[] = [];
  for await (const line of createInterface({ input: demo.stdout })) {
    const pid = /pid (\d+)/.exec(line)?.[1];
    if (pid !== undefined) pids.push(Number(pid));
    if (pids.length === 2) demo.kill("SIGINT");
  }
  assert.equal(await ended, 130);
  assert.deepEqual(pids.filter(isAlive), []);
});

test("a benchmark takes no figures from a migration that failed", async () => {
  const nowhere = { address: "127.0.0.1:1", close: () => undefined };
  const run = migrateOnce({
    guest: ["--guest", "idle", "--memory", "1MiB"],
    link: () => Promise.resolve(nowhere),
  });
  await assert.rejects(run, /^Error: the migration of idle to 127\.0\.0\.1:1 ended as failed: ./);
});
