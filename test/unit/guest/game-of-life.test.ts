import assert from "node:assert/strict";
import { test } from "node:test";
import { loadProgram } from "../../../src/guest/load-program.js";
import { inRepository } from "../../repository.js";
import { BootedGuest } from "./booted-guest.js";

const { program } = await loadProgram(inRepository("examples/game-of-life.js"));
const WIDTH = 1024;
const ROWS = 2 ** 16 / 2 / WIDTH;

/** A glider, as (row, column) of its living cells. */
const GLIDER = [
  [0, 1],
  [1, 2],
  [2, 0],
  [2, 1],
  [2, 2],
] as const;

function livingCells(world: Uint8Array): readonly (readonly [number, number])[] {
  const cells: (readonly [number, number])[] = [];
  world.forEach((cell, at) => {
    if (cell !== 0) cells.push([Math.floor(at / WIDTH), at % WIDTH]);
  });
  return cells;
}

test("the example's glider glides: four generations on, it is one row and one column further", () => {
  const guest = new BootedGuest(program, { ramBytes: 2 ** 16, options: { density: "0" } });
  for (const [row, column] of GLIDER) guest.bytes[(row + 5) * WIDTH + column + 5] = 1;
  guest.run(0, 4 * ROWS, 7);
  const moved = GLIDER.map(([row, column]) => [row + 6, column + 6]);
  assert.deepEqual(livingCells(guest.bytes.subarray(0, ROWS * WIDTH)), moved);
  assert.equal((guest.cpu as { alive: number }).alive, 5);
});

test("the example refuses a density that is no share", () => {
  assert.throws(() => new BootedGuest(program, { options: { density: "lots" } }), /density/);
});
