import assert from "node:assert/strict";
import { test } from "node:test";
import { estimateScreen } from "../../../src/cli/show/estimate-screen.js";
import { plainStyle } from "../../../src/cli/show/style.js";
import { sampleEstimate } from "./samples.js";

test("estimate screen says what was measured, and a row for each prediction, within 80 columns", () => {
  const lines = estimateScreen(sampleEstimate(), plainStyle);
  assert.deepEqual(lines, [
    "kv to 127.0.0.1:7000: what a migration would cost now",
    "  guest    1 GiB, 50 % of its pages not zero",
    "  writes   12,000 different pages a second, 0.39 of what the link carries",
    "  link     125 MB/s, round trip 210 µs",
    "",
    "  algorithm    downtime  total time  pages sent  of the guest's",
    "  pre-copy      84.2 ms      6.20 s     190,000            72 %",
    "  three-stage   3.10 ms      4.60 s     140,000            53 %",
  ]);
  assert.ok(lines.every((line) => line.length <= 80));
});

test("estimate screen says that a migration under way has a limit, within 80 columns", () => {
  const held = sampleEstimate({ bytesPerSecond: 19_999_000, heldTo: 20e6 });
  const link = estimateScreen(held, plainStyle).find((line) => line.startsWith("  link")) ?? "";
  assert.equal(link, "  link     20.0 MB/s, round trip 210 µs; held to 20 MB/s by a migration");
  assert.ok(link.length <= 80);
});

test("estimate screen lets no control character of a guest's name through", () => {
  const [title = ""] = estimateScreen(sampleEstimate({ guest: "a\u001b[2Jb" }), plainStyle);
  assert.doesNotMatch(title, /\p{Cc}/u);
});
