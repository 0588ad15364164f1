import assert from "node:assert/strict";
import { test } from "node:test";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { Neighbours } from "../../../src/source/neighbours.js";
import { RateLimit } from "../../../src/source/rate-limit.js";

function tablesOf(planned: readonly number[]): MigrationTables {
  const tables = MigrationTables.create(64, RateLimit.createState());
  for (const page of planned) tables.planned.claim(page);
  return tables;
}

const fault = { page: 10, vcpu: 0, hits: 0 };

test("neighbours are pages of the plan that are not on their way", () => {
  const tables = tablesOf([9, 11, 12, 14, 15, 16]);
  tables.queued.claim(12);
  assert.deepEqual(new Neighbours(tables, 1).of(fault), [11, 14, 15, 16]);
});

test("nothing is a neighbour before stage three is planned, or of a vCPU that is not there", () => {
  assert.deepEqual(new Neighbours(tablesOf([]), 1).of(fault), []);
  assert.deepEqual(new Neighbours(tablesOf([11]), 1).of({ ...fault, vcpu: 1 }), []);
});

test("each vCPU has a window of its own", () => {
  const neighbours = new Neighbours(tablesOf([11, 12, 13, 14, 15]), 2);
  // The first vCPU learns that nothing it was sent is of use to it, down to no window at all.
  for (let jump = 0; jump < 4; jump += 1) neighbours.of(fault);
  assert.deepEqual(neighbours.of(fault), []);
  assert.deepEqual(neighbours.of({ ...fault, vcpu: 1 }), [11, 12, 13, 14]);
});
