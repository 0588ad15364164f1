import assert from "node:assert/strict";
import { test } from "node:test";
import { Arguments } from "../../../src/cli/arguments.js";
import { readTransfer, TRANSFER_OPTION_NAMES } from "../../../src/cli/transfer.js";
import { MigrationError } from "../../../src/failure.js";

/** The fields of a request that these options set; what was left out sets none. */
function fieldsOf(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { tuning, ...rest } = readTransfer(new Arguments(options));
  const given = Object.entries({ ...rest, ...tuning }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given);
}

const PRE_COPY = { algorithm: "pre-copy" };
const AUTO = { algorithm: "auto" };
const SLOWLY = { ...PRE_COPY, throttle: true };
const USUAL = { startPercent: 20, stepPercent: 10, maxPercent: 99 };

/** An option as it is written, what it needs beside it, and all the fields that it sets. */
const MEANINGS: readonly (readonly [
  option: string,
  value: unknown,
  beside: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, unknown>>,
])[] = [
  ["algorithm", "post-copy", {}, { algorithm: "post-copy" }],
  ["downtime-limit", "300ms", PRE_COPY, { downtimeLimitMs: 300 }],
  ["max-rounds", "7", PRE_COPY, { maxRounds: 7 }],
  ["throttle", true, PRE_COPY, { throttle: USUAL }],
  ["throttle-start", "30", SLOWLY, { throttle: { ...USUAL, startPercent: 30 } }],
  ["throttle-step", "5", SLOWLY, { throttle: { ...USUAL, stepPercent: 5 } }],
  ["throttle-max", "80", SLOWLY, { throttle: { ...USUAL, maxPercent: 80 } }],
  ["max-downtime", "50ms", AUTO, { maxDowntimeMs: 50 }],
  ["max-total", "30s", AUTO, { maxTotalMs: 30_000 }],
  ["max-bandwidth", "1Gbit", {}, { maxBandwidth: 125e6 }],
  ["max-postcopy-bandwidth", "50MB/s", {}, { maxPostcopyBandwidth: 50e6 }],
  ["channels", "3", {}, { channels: 3 }],
  ["tune", "defer=off", {}, { defer: false }],
  ["tune", "unchanged=off", {}, { unchanged: false }],
  ["tune", "prepull=on", {}, { prepull: true }],
  ["tune", "checksums=off", {}, { checksums: false }],
  ["tune", "chunk=64KiB", {}, { chunkPages: 16 }],
  ["tune", ["defer=on", "chunk=1MiB"], {}, { defer: true, chunkPages: 256 }],
];

for (const [option, value, beside, fields] of MEANINGS) {
  const written = value === true ? `--${option}` : `--${option} ${[value].flat().join(" and ")}`;
  test(`${written} sets ${Object.keys(fields).join(" and ")}, and nothing else`, () => {
    const algorithm = "algorithm" in beside ? { algorithm: beside.algorithm } : {};
    assert.deepEqual(fieldsOf({ ...beside, [option]: value }), { ...algorithm, ...fields });
  });
}

test("every option that says how pages move has a meaning here", () => {
  const meant = new Set(MEANINGS.map(([option]) => option));
  assert.deepEqual([...meant].sort(), [...TRANSFER_OPTION_NAMES].sort());
});

test("without an option everything is left to the host", () => {
  assert.deepEqual(fieldsOf({}), {});
});

test("a part of the method that does not exist, or not like that, is refused by name", () => {
  for (const [tune, complaint] of [
    ["speed=high", /--tune knows no "speed"; it has defer, .* and chunk/],
    ["defer=maybe", /--tune defer=maybe: must be on or off/],
    ["chunk=5000", /--tune chunk=5000: must be whole pages/],
    ["chunk=2MiB", /--tune chunk=2MiB: must be whole pages of 4KiB, at most 1MiB/],
    [
      ["checksums=off", "unchanged=on"],
      /unchanged pages are found by their checksums, which are off/,
    ],
  ] as const) {
    assert.throws(
      () => fieldsOf({ tune }),
      (error) => {
        assert.ok(error instanceof MigrationError);
        assert.equal(error.failure.code, "USAGE");
        assert.match(error.message, complaint);
        return true;
      },
    );
  }
});
