import assert from "node:assert/strict";
import { test } from "node:test";
import { WordTotal } from "../../../src/guest/word-total.js";
import { VCPU_WORDS, vcpuWords, wordCount } from "../../../src/memory/words.js";

const VCPUS = 2;

function totalOf(name: keyof typeof VCPU_WORDS) {
  const words = new Int32Array(new SharedArrayBuffer(wordCount(VCPUS) * 4));
  const total = new WordTotal(words, VCPUS, name);
  const add = (vcpu: number, count: number) => {
    Atomics.add(words, vcpuWords(vcpu) + VCPU_WORDS[name], count | 0);
  };
  return { total, add };
}

test("a total goes on growing where a vCPU's word has gone round", () => {
  const { total, add } = totalOf("BLOCKED_US");
  // Two vCPUs that wait for pages all the time, looked at every half hour for a day.
  const halfHourUs = 30 * 60 * 1e6;
  for (let look = 1; look <= 48; look += 1) {
    add(0, halfHourUs);
    add(1, halfHourUs);
    assert.equal(total.look(), 2 * look * halfHourUs);
  }
});

test("a total counts on from what came with the guest, however much that was", () => {
  const { total, add } = totalOf("OPERATIONS");
  total.begin([2 ** 40 + 5, 7]);
  assert.equal(total.look(), 2 ** 40 + 12);
  add(0, 10);
  assert.equal(total.look(), 2 ** 40 + 22);
});
