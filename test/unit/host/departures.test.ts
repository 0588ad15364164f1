import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultChannels } from "../../../src/host/departures.js";

test("a migration has a channel for every two cores, but at least one and at most four", () => {
  const channels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 256].map(defaultChannels);
  assert.deepEqual(channels, [1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]);
});
