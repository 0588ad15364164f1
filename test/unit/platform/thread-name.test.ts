import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { nameThread } from "../../../src/platform/thread-name.js";

const COMM = "/proc/thread-self/comm";

test("a thread has the name that it gave itself, as far as Linux keeps it", (t) => {
  if (!existsSync(COMM)) {
    t.skip("no such thing on this system");
    return;
  }
  const before = readFileSync(COMM, "utf8").trim();
  t.after(() => {
    nameThread(before);
  });
  nameThread("bulk-0");
  assert.equal(readFileSync(COMM, "utf8"), "bulk-0\n");
  nameThread("a name that is too long");
  assert.equal(readFileSync(COMM, "utf8"), "a name that is \n");
});
