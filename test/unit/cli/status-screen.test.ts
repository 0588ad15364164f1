import assert from "node:assert/strict";
import { test } from "node:test";
import { statusScreen } from "../../../src/cli/show/status-screen.js";
import { plainStyle } from "../../../src/cli/show/style.js";
import { InMemoryService } from "../host/in-memory-service.js";
import { phaseEvent, progressEvent } from "./samples.js";

test("a host is shown with its addresses, its guests in columns and its migrations", () => {
  const service = new InMemoryService();
  service.guests = [service.guest, { ...service.guest, guestId: "another", memoryBytes: 65_536 }];
  const status = {
    ...service.status(),
    address: "127.0.0.1:7000",
    control: "127.0.0.1:7001",
    migrations: [{ ...phaseEvent(), progress: progressEvent() }],
  };
  assert.deepEqual(statusScreen(status, plainStyle), [
    "host h1, pid 1, tristage 0.0.0",
    "  control 127.0.0.1:7001, migrations 127.0.0.1:7000",
    "  guest  id       state    memory  vCPUs  generation  done    pace",
    "  kv     g1       running  1 GiB   2      1           12.3 M  1.23 Mop/s",
    "  kv     another  running  64 KiB  2      1           12.3 M  1.23 Mop/s",
    "  outgoing: kv: stage 1: copying all memory while the guest runs",
    "    stage 1: 53 %, 139,264 of 262,144 pages, 1.21 GB/s, 420 ms left, guest 1.23 Mop/s",
  ]);
});

test("a host without guests says so", () => {
  const service = new InMemoryService();
  service.guests = [];
  assert.deepEqual(statusScreen({ ...service.status(), control: "a:1" }, plainStyle).slice(1), [
    "  control a:1",
    "  no guests",
  ]);
});
