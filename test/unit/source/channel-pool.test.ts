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
import { congestionControlOf, WITHOUT_LIBC } from "../../congestion-control.js";
import { HostileDest } from "../../hostile/peer.js";

/** Connections of this process on which TCP paces what it sends. */
function pacedCount(): number {
  const ways = readdirSync("/proc/self/fd").map((fd) => congestionControlOf(Number(fd)));
  return ways.filter((way) => way !== undefined && !/^(cubic|reno)$/.test(way)).length;
}

test(
  "channels to a destination on the same machine send unpaced",
  { skip: WITHOUT_LIBC },
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
      // Where the system paces, only the listener and the other ends are left.
      assert.ok(pacedCount() <= 1 + peers.size, `${String(pacedCount())} are paced`);
    } finally {
      await pool.close();
    }
  },
);
