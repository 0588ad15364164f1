import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedCounters } from "../../../src/memory/counters.js";

const NAMES = ["pages", "bytes"] as const;

test("SharedCounters add up under their names, and say what stood there before", () => {
  const counters = new SharedCounters(NAMES, SharedCounters.createBuffer(NAMES));
  assert.equal(counters.add("bytes", 5), 0);
  assert.equal(counters.add("bytes", -2), 5);
  assert.equal(counters.read("bytes"), 3);
  assert.equal(counters.read("pages"), 0);
});

test("SharedCounters count beyond 32 bits", () => {
  const counters = new SharedCounters(NAMES, SharedCounters.createBuffer(NAMES));
  counters.add("bytes", 2 ** 32 - 1);
  counters.add("bytes", 2 ** 40);
  assert.equal(counters.read("bytes"), 2 ** 40 + 2 ** 32 - 1);
});

test("SharedCounters opened twice on one buffer are the same counters", () => {
  const buffer = SharedCounters.createBuffer(NAMES);
  new SharedCounters(NAMES, buffer).add("pages", 7);
  assert.equal(new SharedCounters(NAMES, buffer).read("pages"), 7);
});
