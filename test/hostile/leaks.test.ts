import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MAX_INCOMING } from "../../src/protocol/limits.js";
import { Daemon, freshFolder } from "../process/daemon.js";
import { guestModule } from "../process/modules.js";
import { diskWithoutRoomFor, preload } from "../process/preload.js";
import { HostileSource, moduleAt } from "./peer.js";

/** What a destination is left with when its sources go. */

/** Has the process say on stderr how many timers tick that were started in the file of that name. */
function countTimers(file: string): readonly string[] {
  return preload(`
    const { setInterval: start, clearInterval: stop } = globalThis;
    const ticking = new Set();
    const say = () => process.stderr.write("\\ncount " + String(ticking.size) + "\\n");
    globalThis.setInterval = (...all) => {
      const timer = start(...all);
      if (new Error().stack.includes("/${file}:")) {
        ticking.add(timer);
        say();
      }
      return timer;
    };
    globalThis.clearInterval = (timer) => {
      stop(timer);
      if (ticking.delete(timer)) say();
    };`);
}

/** Has the process say on stderr how many vCPU threads it has. */
const COUNT_VCPUS = preload(`
  import { syncBuiltinESMExports } from "node:module";
  import threads from "node:worker_threads";
  let vcpus = 0;
  const add = (count) => {
    vcpus += count;
    process.stderr.write("\\ncount " + String(vcpus) + "\\n");
  };
  threads.Worker = class extends threads.Worker {
    constructor(file, options) {
      super(file, options);
      if (!String(file).endsWith("/vcpu-thread.js")) return;
      add(1);
      this.once("exit", () => add(-1));
    }
  };
  syncBuiltinESMExports();`);

/** What the process has counted, until now. */
function counts(host: Daemon): readonly number[] {
  return [...host.process.stderr.matchAll(/^count (\d+)$/gm)].map(([, count]) => Number(count));
}

function dest(nodeOptions: readonly string[], ...words: readonly string[]): Promise<Daemon> {
  return Daemon.start(["dest", "--listen", "127.0.0.1:0", ...words], { nodeOptions });
}

test("dest ends the vCPUs of a guest whose source left while they started", async () => {
  const folder = freshFolder();
  await using host = await dest(COUNT_VCPUS, "--state-dir", folder);
  using source = await HostileSource.greet(host.target, { vcpuCount: 8 });
  source.control.say("prepare", {});
  source.control.socket.end();
  // One thread is kept for the guest that comes next.
  await host.process.until("the end of eight vCPUs", () =>
    counts(host).includes(8) && (counts(host).at(-1) ?? 8) <= 1 ? true : undefined,
  );
  const journal = readFileSync(join(folder, "ownership.jsonl"), "utf8");
  assert.equal(journal, "", "it promised to take a guest that it had given up");
});

test("dest keeps nothing of a guest for which its journal has no room", async () => {
  const full = diskWithoutRoomFor("running");
  await using host = await dest([...full, ...countTimers("throughput.js")]);
  using source = await HostileSource.greet(host.target);
  await source.copy();
  source.switchOver([]);
  await source.control.hungUp();
  assert.equal((await host.event("error")).code, "JOURNAL_UNUSABLE");
  assert.equal(counts(host).at(-1) ?? 0, 0, "the recorder of its throughput holds its memory");
});

test("dest receives guests however many of them were left without pages", async () => {
  await using host = await dest(countTimers("publisher.js"));
  for (let guest = 0; guest <= MAX_INCOMING; guest += 1) {
    using source = await HostileSource.greet(host.target);
    await source.copy();
    source.switchOver([3]);
    await source.control.hear("running", "switchover");
    source.control.socket.end();
    await host.phase("stranded", source.hello.migrationId);
  }
  const { guests } = await host.status();
  const states = guests.map(({ state }) => state);
  assert.deepEqual(states, Array(MAX_INCOMING + 1).fill("stranded"));
  await host.process.until("no publisher that waits for pages", () =>
    counts(host).at(-1) === 0 ? true : undefined,
  );
});

test("dest gives up an arrival whose parked vCPU dies, and tells the source", async () => {
  const trigger = freshFolder();
  const path = guestModule(`
    boot: () => [{}],
    step: (memory, cpu, operations) => operations,
    ...(!process.getBuiltinModule("node:worker_threads").isMainThread && {
      watch: setInterval(() => {
        if (process.getBuiltinModule("node:fs").existsSync(${JSON.stringify(trigger)})) {
          throw new Error("told to die");
        }
      }, 5),
    })`);
  await using host = await Daemon.dest();
  using source = await HostileSource.greet(host.target, moduleAt(path));
  await source.copy();
  writeFileSync(trigger, "");
  const { code } = await source.control.hear("failed", "copying");
  assert.equal(code, "THREAD_DIED");
  await source.control.hungUp();
  await host.phase("ended", source.hello.migrationId);
  assert.deepEqual((await host.status()).migrations, []);
});
