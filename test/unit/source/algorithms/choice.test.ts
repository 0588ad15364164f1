import assert from "node:assert/strict";
import { test } from "node:test";
import { ALGORITHM_NAMES, type AlgorithmName } from "../../../../src/protocol/report.js";
import {
  type AlgorithmChoice,
  describeMisfit,
  findMisfit,
  policyOf,
  throttleProblem,
  tuningFor,
} from "../../../../src/source/algorithms/choice.js";
import { passFacts, stopFacts } from "./facts.js";

test("each algorithm answers the two questions as the table of the design says", () => {
  const answers = ALGORITHM_NAMES.filter((name) => name !== "auto").map((algorithm) => {
    const policy = policyOf({ algorithm });
    // Enough was dirty for another round, and is dirty still.
    const { then } = policy.afterPass(passFacts());
    const { rest, choice } = policy.ending(stopFacts(200));
    assert.equal(choice, null);
    assert.equal(policy.algorithm, algorithm);
    assert.equal(policy.mayLeavePages, rest === "after");
    return [algorithm, policy.opening, then, rest];
  });
  assert.deepEqual(answers, [
    ["stop-and-copy", "nothing", "stop", "before"],
    ["pre-copy", "all", "pass", "before"],
    ["post-copy", "never-written", "stop", "after"],
    ["three-stage", "all-but-hot", "stop", "after"],
  ]);
});

test("who asks for no algorithm gets three-stage", () => {
  assert.equal(policyOf({}), policyOf({ algorithm: "three-stage" }));
});

test("policies never count the dirty pages of a stopped guest unless they decide by them", () => {
  for (const algorithm of ["stop-and-copy", "pre-copy", "post-copy", "three-stage"] as const) {
    policyOf({ algorithm }).ending(
      stopFacts(0, { dirtyPages: () => assert.fail("the guest stood still for nothing") }),
    );
  }
});

const throttle = { startPercent: 20, stepPercent: 10, maxPercent: 99 };

/** Each option, and those whom it means something to. */
const OPTIONS: readonly (readonly [Parameters<typeof findMisfit>[0], readonly AlgorithmName[]])[] =
  [
    [{ downtimeLimitMs: 300 }, ["pre-copy"]],
    [{ maxRounds: 3 }, ["pre-copy"]],
    [{ throttle }, ["pre-copy"]],
    [{ maxDowntimeMs: 50 }, ["auto"]],
    [{ maxTotalMs: 30_000 }, ["auto"]],
    [{ maxPostcopyBandwidth: 1e6 }, ["post-copy", "three-stage", "auto"]],
    [{ tuning: { defer: false } }, ["three-stage", "auto"]],
    [{ tuning: { chunkPages: 64 } }, ["three-stage", "auto"]],
    [{ tuning: { unchanged: false } }, ["three-stage", "auto"]],
    [{ tuning: { prepull: false } }, ["post-copy", "three-stage", "auto"]],
    [{ tuning: { checksums: false } }, ALGORITHM_NAMES],
  ];

test("no option is accepted by an algorithm that would ignore it", () => {
  for (const [option, meantFor] of OPTIONS) {
    const accepting = ALGORITHM_NAMES.filter(
      (algorithm) => findMisfit({ ...option, algorithm }) === undefined,
    );
    assert.deepEqual([...accepting].sort(), [...meantFor].sort(), JSON.stringify(option));
    const isDefaultFine = meantFor.includes("three-stage");
    assert.equal(findMisfit(option) === undefined, isDefaultFine, "without --algorithm");
  }
});

test("an option that was left out is no misfit", () => {
  const request: AlgorithmChoice = { algorithm: "post-copy", maxRounds: undefined };
  assert.equal(findMisfit({ ...request, tuning: { defer: undefined } }), undefined);
});

test("a misfit is told with the option as it was written, and with what it is for", () => {
  const misfit = findMisfit({ algorithm: "post-copy", maxRounds: 3 });
  assert.ok(misfit !== undefined);
  assert.equal(
    describeMisfit(misfit, "--max-rounds"),
    "--max-rounds means nothing to post-copy; it is for pre-copy",
  );
});

test("a throttle has to start no higher than it ends", () => {
  assert.equal(throttleProblem(undefined), undefined);
  assert.equal(throttleProblem({ ...throttle, startPercent: 99 }), undefined);
  assert.match(throttleProblem({ ...throttle, maxPercent: 19 }) ?? "", /start at 20 %/);
});

test("what an algorithm has no use for is off, and what it has is as it was chosen", () => {
  const on = (algorithm: AlgorithmName, choice = {}) =>
    Object.entries(tuningFor(algorithm, choice)).flatMap(([knob, value]) =>
      value === true ? [knob] : [],
    );
  assert.deepEqual(on("stop-and-copy"), ["checksums"]);
  assert.deepEqual(on("pre-copy"), ["checksums"]);
  assert.deepEqual(on("post-copy"), ["prepull", "checksums"]);
  for (const algorithm of ["three-stage", "auto"] as const) {
    assert.deepEqual(on(algorithm), ["defer", "unchanged", "delta", "prepull", "checksums"]);
  }
  assert.deepEqual(on("three-stage", { delta: false, checksums: false }), ["defer", "prepull"]);
});
