import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf, PARTS } from "../../../scripts/evaluate/plan.js";
import { turnsOf } from "../../../scripts/evaluate/turns.js";

/** Of each way: the directions in which it moved the guest, and the ways that came before it. */
function seen(wayCount: number, runs: number) {
  const ways = Array.from({ length: wayCount }, (_, way) => way);
  const directions = ways.map((): number[] => []);
  const before = ways.map(() => new Set<number>());
  let moves = 0;
  let last: number | undefined;
  for (let run = 0; run < runs; run += 1) {
    const turns = turnsOf(run, ways);
    assert.deepEqual([...turns].sort(), ways, "each run has each way once");
    for (const way of turns) {
      directions[way]!.push(moves % 2);
      if (last !== undefined && last !== way) before[way]!.add(last);
      last = way;
      moves += 1;
    }
  }
  return { directions, before };
}

const counts = new Set(PARTS.flatMap((part) => planOf(part, false)).map(({ ways }) => ways.length));
for (const wayCount of counts) {
  test(`${String(wayCount)} ways each move both ways and after different others, in five runs`, () => {
    const { directions, before } = seen(wayCount, 5);
    for (const [way, moves] of directions.entries()) {
      assert.equal(new Set(moves).size, 2, `way ${String(way)} went ${moves.join()}`);
      assert.ok(
        before[way]!.size >= Math.min(2, wayCount - 1),
        `way ${String(way)} came after ${[...before[way]!].join()}`,
      );
    }
  });
}

test("four ways go each direction equally often in four runs, and come after each other one in five", () => {
  for (const moves of seen(4, 4).directions) {
    assert.equal(moves.filter((direction) => direction === 0).length, 2);
  }
  for (const others of seen(4, 5).before) assert.equal(others.size, 3);
});
