import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { GuestRam } from "../../../src/memory/ram.js";
import { encodeMessage } from "../../../src/protocol/codec.js";
import { PROTOCOL_VERSION } from "../../../src/protocol/version.js";
import { ChannelPool } from "../../../src/source/channel-pool.js";
import { MigrationTables } from "../../../src/source/migration-tables.js";
import { RateLimit } from "../../../src/source/rate-limit.js";
import { completeTuning } from "../../../src/source/tuning.js";
import {
  congestionControlHere,
  congestionControlOf,
  WITHOUT_LIBC,
} from "../../congestion-control.js";
import { HostileDest } from "../../hostile/peer.js";

const usual = congestionControlHere();
const BY_WINDOW_ALREADY = /^(cubic|reno)$/.test(usual) ? `TCP goes by ${usual} here anyway` : false;

/** Connections of this process on which TCP sends in another way than by a window alone. */
function otherwiseCount(): number {
  const ways = readdirSync("/proc/self/fd").map((fd) => congestionControlOf(Number(fd)));
  return ways.filter((way) => way !== undefined && !/^(cubic|reno)$/.test(way)).length;
}

test(
  "channels to a destination on the same machine send by a window alone",
  { skip: WITHOUT_LIBC || BY_WINDOW_ALREADY },
  async () => {
    await using dest = await HostileDest.open();
    const ram = GuestRam.allocate(2 ** 20, 1);
    const tables = MigrationTables.create(ram.pageCount, RateLimit.createState());
    const session = new Uint8Array(32);
    const pool = new ChannelPool(
      1,
      1,
      {
        ...{ to: dest.address, ram: ram.handle, tables: tables.handle },
        ...{ rates: { pass: undefined, drain: undefined }, tuning: completeTuning() },
      },
      (channel) =>
        encodeMessage(
          "attach",
          { version: PROTOCOL_VERSION, migrationId: "m", session, channel },
          0,
        ),
      (failure) => {
        assert.fail(failure.code);
      },
    );
    try {
      const connected = pool.connect();
      const peers = await dest.attach(3);
      await connected;
      // Only the listener and the other ends are left.
      assert.ok(otherwiseCount() <= 1 + peers.size, `${String(otherwiseCount())} do otherwise`);
    } finally {
      await pool.close();
    }
  },
);
