import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { WITHOUT_LIBC } from "../../congestion-control.js";

test("no thread but the main one is given the C library", { skip: WITHOUT_LIBC }, async () => {
  const worker = new Worker(new URL("libc-worker.js", import.meta.url));
  assert.deepEqual(await once(worker, "message"), [false]);
});
