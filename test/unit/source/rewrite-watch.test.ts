import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE_BYTES } from "../../../src/memory/geometry.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { BLOCK_BYTES, BLOCKS_PER_PAGE } from "../../../src/protocol/deltas.js";
import {
  LEAST_PAGES,
  RewriteWatch,
  rewrittenShare,
  TURNS_PER_LOOK,
  WATCHED_PAGES,
} from "../../../src/source/rewrite-watch.js";

const HOT = 100;

/** A watched guest that is rewriting its first `hotPages`. */
function watched(hotPages: number, pageCount = 256) {
  const ram = GuestRam.allocate(pageCount * PAGE_BYTES, 1);
  const bytes = new Uint8Array(ram.buffer);
  ram.stamps.fill(HOT - 1).fill(HOT, 0, hotPages);
  const watch = new RewriteWatch(ram);
  /** Up to the next look, or as many as are said. */
  const turns = (count = TURNS_PER_LOOK) => {
    for (let turn = 0; turn < count; turn += 1) watch.turn(HOT);
    return rewrittenShare(ram);
  };
  const rewrite = (firstPage: number, pages: number, blocks: number) => {
    for (let page = firstPage; page < firstPage + pages; page += 1) {
      ram.stamps[page]! += 1;
      for (let block = 0; block < blocks; block += 1) {
        bytes[page * PAGE_BYTES + block * BLOCK_BYTES]! += 1;
      }
    }
  };
  return { turns, rewrite };
}

test("as long as hardly a page is seen to be rewritten, all of one may change", () => {
  const { turns, rewrite } = watched(256);
  assert.equal(turns(), 1);
  // One page in eight is not enough of them: some are noted twice, none of 256 more often.
  rewrite(0, 3, 2);
  assert.equal(turns(), 1);
  rewrite(0, 256, 2);
  assert.equal(turns(), 2 / BLOCKS_PER_PAGE);
});

test("the share is that of the blocks that have changed, of the pages that were rewritten", () => {
  const { turns, rewrite } = watched(256);
  turns();
  rewrite(0, 128, 4);
  rewrite(128, 128, 8);
  assert.ok(Math.abs(turns() - 6 / BLOCKS_PER_PAGE) < 0.02);
});

test("only pages that are being rewritten are looked at", () => {
  const { turns, rewrite } = watched(64);
  turns();
  rewrite(0, 64, 6);
  rewrite(64, 192, 16);
  assert.equal(turns(), 6 / BLOCKS_PER_PAGE);
});

test("a page is compared with what it was a while ago, not with what it ever was", () => {
  const { turns, rewrite } = watched(256);
  turns();
  rewrite(0, 256, 16);
  assert.equal(turns(), 1);
  // Until each has been noted anew.
  turns(WATCHED_PAGES);
  rewrite(0, 256, 2);
  assert.equal(turns(), 2 / BLOCKS_PER_PAGE);
});

test("what is known holds while the guest stands still", () => {
  const { turns, rewrite } = watched(256);
  turns();
  rewrite(0, 256, 2);
  assert.equal(turns(), 2 / BLOCKS_PER_PAGE);
  for (let look = 0; look < 20; look += 1) assert.equal(turns(), 2 / BLOCKS_PER_PAGE);
});

test("a guest that rewrites a few pages of many tells nothing", () => {
  const { turns, rewrite } = watched(LEAST_PAGES - 1, 4096);
  turns();
  rewrite(0, LEAST_PAGES - 1, 2);
  assert.equal(turns(), 1);
});

test("a guest that writes what is there already changes nothing", () => {
  const { turns, rewrite } = watched(256);
  turns();
  rewrite(0, 256, 0);
  assert.equal(turns(), 0);
});

test("a page that is not written again does not count", () => {
  const { turns, rewrite } = watched(256);
  turns();
  rewrite(0, 128, 8);
  assert.equal(turns(), 8 / BLOCKS_PER_PAGE);
});
