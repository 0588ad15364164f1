import assert from "node:assert/strict";
import { once } from "node:events";
import { getPriority, release, setPriority } from "node:os";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { runInShortSlices } from "../../../src/platform/short-slices.js";
import { WITHOUT_LIBC } from "../../congestion-control.js";

const [major = 0, minor = 0] = release().split(".").map(Number);
const isTaken = WITHOUT_LIBC === false && (major > 6 || (major === 6 && minor >= 12));

test(
  "threads that are started afterwards have short slices, and the process keeps its rank",
  { skip: isTaken ? false : "needs Linux 6.12" },
  async (context) => {
    setPriority(3);
    context.after(() => {
      setPriority(0);
    });
    assert.ok(runInShortSlices());
    assert.equal(getPriority(), 3);
    const worker = new Worker(
      `const { readFileSync } = require("node:fs");
      require("node:worker_threads").parentPort.postMessage(readFileSync("/proc/thread-self/sched", "utf8"));`,
      { eval: true },
    );
    const [told] = (await once(worker, "message")) as [string];
    const slice = /^se\.slice\s*:\s*(\d+)/m.exec(told)?.[1];
    // A kernel may be built without telling.
    if (slice !== undefined) assert.equal(Number(slice), 100_000);
  },
);
