import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { BLOCK_BYTES } from "../../../src/protocol/deltas.js";
import { LEAST_PAGES, RewriteSample, SAMPLE_PAGES } from "../../../src/source/rewrite-sample.js";

function sampled(pages: number) {
  const ram = GuestRam.allocate(256 * PAGE_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer);
  const sample = new RewriteSample(ram);
  for (let page = 0; page < pages; page += 1) sample.note(page);
  const change = (page: number, blocks: number) => {
    for (let block = 0; block < blocks; block += 1) {
      bytes[page * PAGE_BYTES + block * BLOCK_BYTES]! += 1;
    }
  };
  return { sample, change };
}

test("as long as hardly a page is seen to change, all of one may", () => {
  const { sample, change } = sampled(LEAST_PAGES);
  assert.equal(sample.share(0), 1);
  for (let page = 1; page < LEAST_PAGES; page += 1) change(page, 1);
  assert.equal(sample.share(10), 1);
  change(0, 1);
  assert.equal(sample.share(20), 1 / 8);
});

test("the share is that of the blocks that have changed, of the pages that have", () => {
  const { sample, change } = sampled(2 * LEAST_PAGES);
  for (let page = 0; page < LEAST_PAGES; page += 1) change(page, page < LEAST_PAGES / 2 ? 1 : 4);
  assert.equal(sample.share(0), 5 / 16);
});

test("a page is compared with what it was when it was noted, and looked at only so often", () => {
  const { sample, change } = sampled(LEAST_PAGES);
  for (let page = 0; page < LEAST_PAGES; page += 1) change(page, 1);
  assert.equal(sample.share(0), 1 / 8);
  for (let page = 0; page < LEAST_PAGES; page += 1) change(page, 3);
  assert.equal(sample.share(9), 1 / 8);
  assert.equal(sample.share(10), 3 / 8);
});

test("the newest pages are looked at, and as many as a sample has", () => {
  const { sample, change } = sampled(SAMPLE_PAGES + LEAST_PAGES);
  for (let page = 0; page < LEAST_PAGES; page += 1) change(page, 8);
  assert.equal(sample.share(0), 1, "the oldest were given up for the newest");
  for (let page = LEAST_PAGES; page < 2 * LEAST_PAGES; page += 1) change(page, 2);
  assert.equal(sample.share(10), 2 / 8);
});
