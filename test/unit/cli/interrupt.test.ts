import assert from "node:assert/strict";
import { test } from "node:test";
import { farewells } from "../../../src/cli/farewell.js";
import {
  type ActiveMigration,
  onInterrupt,
  SECOND_PRESS_MS,
  stageForCancelling,
} from "../../../src/cli/interrupt.js";
import type { GuestState, GuestStatus, PhaseName } from "../../../src/host/events.js";
import { InMemoryService } from "../host/in-memory-service.js";
import { phaseEvent } from "./samples.js";

function migration(changes: Partial<ActiveMigration> = {}): ActiveMigration {
  return {
    ...{ migrationId: "m1", direction: "outgoing", guestId: "g1", guest: "kv" },
    ...{ stage: 1, arrived: false, cancelling: false, ...changes },
  };
}

test("Ctrl-C without a migration closes the host", () => {
  assert.deepEqual(onInterrupt([], null), { action: "close" });
});

test("Ctrl-C before the switchover cancels what goes out", () => {
  for (const stage of [null, 1] as const) {
    const outgoing = migration({ stage });
    const incoming = migration({ migrationId: "m2", direction: "incoming", stage });
    const expected = { action: "cancel", migrations: [outgoing] };
    assert.deepEqual(onInterrupt([outgoing, incoming], null), expected);
  }
});

test("a guest that stands still may be called back until it was handed over", () => {
  const stage = (phase: PhaseName, direction: "outgoing" | "incoming" = "outgoing") =>
    stageForCancelling(phaseEvent({ phase, direction, stage: 2 }));
  assert.deepEqual(
    (["pausing", "sendingRest", "switchingOver"] as const).map((it) => stage(it)),
    [1, 1, 2],
  );
  assert.equal(stage("resuming", "incoming"), 2);
  assert.equal(stageForCancelling(phaseEvent({ phase: "inDoubt", stage: null })), null);
});

test("Ctrl-C once more while the cancelling takes its time closes the host", () => {
  assert.deepEqual(onInterrupt([migration({ cancelling: true })], null), { action: "close" });
});

test("Ctrl-C while a guest moves only warns, in whichever direction it moves", () => {
  for (const stage of [2, 3] as const) {
    for (const direction of ["outgoing", "incoming"] as const) {
      const moving = migration({ stage, direction });
      const decision = onInterrupt([moving, migration({ migrationId: "m2" })], null);
      assert.deepEqual(decision, { action: "warn", migrations: [moving] });
    }
  }
});

test("Ctrl-C while only the report is awaited closes the host, since nothing can be lost", () => {
  for (const direction of ["outgoing", "incoming"] as const) {
    const arrived = migration({ stage: 3, arrived: true, direction });
    assert.equal(onInterrupt([arrived], null).action, "close");
  }
});

test("Ctrl-C a second time in time abandons a moving guest, and later warns again", () => {
  const moving = [migration({ stage: 3 })];
  assert.equal(onInterrupt(moving, 0).action, "abandon");
  assert.equal(onInterrupt(moving, SECOND_PRESS_MS).action, "abandon");
  assert.equal(onInterrupt(moving, SECOND_PRESS_MS + 1).action, "warn");
});

test("Ctrl-C before an incoming guest was handed over closes the host", () => {
  assert.equal(onInterrupt([migration({ direction: "incoming" })], null).action, "close");
});

function guest(state: GuestState): GuestStatus {
  return { ...new InMemoryService().guest, state };
}

test("a farewell names every guest that ends, and none when there is none", () => {
  assert.deepEqual(farewells([], []), []);
  const [running] = farewells([guest("running")], []);
  assert.equal(running, "guest kv (g1) ends with this process");
  assert.match(farewells([guest("inDoubt")], [])[0] ?? "", /lost .* unless/);
  assert.match(farewells([guest("stranded")], [])[0] ?? "", /pages of it that are here are lost/);
  assert.match(farewells([guest("arriving")], [])[0] ?? "", /where it came from/);
});

test("a farewell says once and plainly what an abandoned migration loses", () => {
  const loss = (changes: Partial<ActiveMigration>) => {
    const sentences = farewells([guest("migrating")], [migration(changes)]);
    assert.equal(sentences.length, 1);
    return sentences[0] ?? "";
  };
  assert.match(loss({ stage: 2 }), /lost unless the destination already had it/);
  assert.match(loss({ stage: 3 }), /loses the pages that had not arrived/);
  assert.match(loss({ stage: 3, direction: "incoming" }), /is lost with this process/);
});
