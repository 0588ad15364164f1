import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatBytes,
  formatMs,
  formatRate,
  parseDuration,
  parseRate,
  parseSize,
} from "../../src/units.js";

test("parseSize reads sizes as people write them", () => {
  const sizes: [string, number][] = [
    ["4096", 4096],
    ["4096B", 4096],
    ["64k", 65_536],
    ["64KiB", 65_536],
    ["64 KiB", 65_536],
    ["512MiB", 2 ** 29],
    ["512mib", 2 ** 29],
    ["1GiB", 2 ** 30],
    ["1G", 2 ** 30],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["50MB", 50_000_000],
    ["1kB", 1000],
    [" 1GiB ", 2 ** 30],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);
});

test("parseSize answers undefined for what is not a size", () => {
  const nonsense = ["", " ", "GiB", "-1GiB", "1XiB", "1Gbit", "1e9", "0x10", "1,5GiB", "1GiB/s"];
  for (const text of [...nonsense, "1.GiB", ".5GiB", "one", "99999999999TiB"]) {
    assert.equal(parseSize(text), undefined, text);
  }
});

test("parseRate reads bits as decimal eighths and bytes as sizes", () => {
  const rates: [string, number][] = [
    ["1Gbit", 125e6],
    ["100Mbit/s", 12.5e6],
    ["8bit", 1],
    ["50MB/s", 50e6],
    ["2MiB/s", 2 * 2 ** 20],
    ["1000", 1000],
    ["0.5Gbit", 62.5e6],
  ];
  for (const [text, bytesPerSecond] of rates) assert.equal(parseRate(text), bytesPerSecond, text);
});

test("parseRate answers undefined for what is not a rate", () => {
  for (const text of ["", "fast", "-1Gbit", "1Gbit/h", "1Xbit", "1Gbit/s/s"]) {
    assert.equal(parseRate(text), undefined, text);
  }
});

test("what formatBytes writes parseSize reads back", () => {
  for (const bytes of [0, 1, 4096, 65_536, 2 ** 29, 2 ** 30, 4 * 2 ** 30]) {
    assert.equal(parseSize(formatBytes(bytes)), bytes);
  }
});

test("formatted figures keep three digits that matter and name their unit", () => {
  assert.equal(formatRate(1.214e9), "1.21 GB/s");
  assert.equal(formatRate(120e6), "120 MB/s");
  assert.equal(formatMs(0.98), "980 µs");
  assert.equal(formatMs(3.21), "3.21 ms");
  assert.equal(formatMs(1250), "1.25 s");
});

test("parseDuration reads durations as people write them", () => {
  const durations: [string, number][] = [
    ["50ms", 50],
    ["50 ms", 50],
    ["0.5ms", 0.5],
    ["30s", 30_000],
    ["1.5s", 1500],
    ["2min", 120_000],
    [" 1S ", 1000],
  ];
  for (const [text, ms] of durations) assert.equal(parseDuration(text), ms, text);
});

test("parseDuration takes a bare number only where its unit is agreed", () => {
  assert.equal(parseDuration("0.5", "s"), 500);
  assert.equal(parseDuration("50ms", "s"), 50);
  for (const text of ["", "s", "-1", "1h", "1e3"]) {
    assert.equal(parseDuration(text, "s"), undefined, text);
  }
});

test("parseDuration answers undefined for what is not a duration, such as a bare number", () => {
  for (const text of ["", "50", "ms", "-1s", "1h", "1e3ms", "1,5s", "1.s", "1s30ms", "50mss"]) {
    assert.equal(parseDuration(text), undefined, text);
  }
});
