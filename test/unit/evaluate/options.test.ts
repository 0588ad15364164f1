import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions } from "../../../scripts/evaluate/options.js";

function read(...argv: readonly string[]) {
  return readOptions(argv, { exit: false });
}

test("runs are a whole number from 1 on, or the evaluation does not begin", (t) => {
  t.mock.method(console, "error", () => undefined);
  for (const runs of ["0", "-1", "1.5", "many"]) {
    assert.throws(() => read("--runs", runs), /--runs must be a whole number from 1 on/, runs);
  }
  assert.throws(() => read("--runs", "1", "--runs", "2"), /--runs must be/);
  assert.equal(read("--runs", "3").runs, 3);
});

test("a quick evaluation has one run, and does not write over the one that is committed", () => {
  const [quick, full] = [read("--quick"), read()];
  assert.deepEqual([quick.runs, full.runs], [1, 5]);
  assert.match(full.out, /\/docs$/);
  assert.match(quick.out, /\/dist\/quick-evaluation$/);
  assert.equal(read("--quick", "--out", "elsewhere").out, "elsewhere");
});

test("the command is kept as it would be typed again", () => {
  assert.equal(read().command, "npm run evaluate");
  const argv = ["--quick", "--only", "sweep", "--runs", "2"];
  assert.equal(read(...argv).command, `npm run evaluate -- ${argv.join(" ")}`);
});
