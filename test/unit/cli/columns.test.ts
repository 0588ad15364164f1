import assert from "node:assert/strict";
import { test } from "node:test";
import { columns } from "../../../src/cli/show/columns.js";

test("columns are as wide as their widest cell, and nothing trails", () => {
  const rows = [
    ["guest", "id"],
    ["kv", "a1b2"],
  ];
  assert.deepEqual(columns(rows), ["  guest  id", "  kv     a1b2"]);
});

test("columns of numbers end where the widest ends", () => {
  const rows = [
    ["guest", "pages"],
    ["memtester", "7"],
  ];
  assert.deepEqual(
    columns(rows, (column) => column === 1),
    ["  guest      pages", "  memtester      7"],
  );
});
