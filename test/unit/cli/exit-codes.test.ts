import assert from "node:assert/strict";
import { test } from "node:test";
import { exitCodeOfFailure, exitCodeOfOutcome } from "../../../src/cli/exit-codes.js";
import type { Failure } from "../../../src/failure.js";

test("the exit code says what became of the guest", () => {
  assert.equal(exitCodeOfOutcome("completed"), 0);
  assert.equal(exitCodeOfOutcome("crashed"), 1);
  assert.equal(exitCodeOfOutcome("failed"), 3);
  assert.equal(exitCodeOfOutcome("cancelled"), 3);
  assert.equal(exitCodeOfOutcome("inDoubt"), 4);
  assert.equal(exitCodeOfOutcome("stranded"), 4);
});

test("a command line that cannot work exits with 2, anything else that goes wrong with 1", () => {
  const codeOf = (failure: Failure) => {
    const [migrate, other] = [true, false].map((it) => exitCodeOfFailure(failure, it));
    assert.equal(migrate, other);
    return migrate;
  };
  assert.equal(codeOf({ code: "USAGE", detail: "" }), 2);
  assert.equal(codeOf({ code: "GUEST_UNKNOWN", name: "x", known: [] }), 2);
  assert.equal(codeOf({ code: "LISTENS_OPENLY", address: "" }), 2);
  assert.equal(codeOf({ code: "CANNOT_LISTEN", address: "", cause: "" }), 1);
  assert.equal(codeOf({ code: "CANNOT_CONNECT", address: "", cause: "" }), 1);
});

test("a host that refuses to migrate keeps its guest running, unless it has none to migrate", () => {
  const refused = (peerCode: string) =>
    exitCodeOfFailure({ code: "PEER_FAILED", peerCode, text: "" }, true);
  assert.equal(refused("CANNOT_CONNECT"), 3);
  assert.equal(refused("MEMORY_SHORT"), 3);
  assert.equal(refused("GUEST_NOT_HERE"), 1);
  assert.equal(refused("GUEST_BUSY"), 1);
  assert.equal(refused("TOKEN_WRONG"), 1);
  assert.equal(refused("USAGE"), 2);
});

test("a host that refuses anything but a migration is no failed migration", () => {
  const refused = (peerCode: string) =>
    exitCodeOfFailure({ code: "PEER_FAILED", peerCode, text: "" }, false);
  assert.equal(refused("CANNOT_CONNECT"), 1);
  assert.equal(refused("PROBES_FULL"), 1);
  assert.equal(refused("USAGE"), 2);
});
