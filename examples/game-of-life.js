// Conway's Game of Life as a guest: migrate it, and the worlds live on where they stood.
//
//   tristage source --guest ./examples/game-of-life.js --memory 64MiB --set density=0.3
//
// A guest is one object with the members below. Three rules make it migratable:
//
// 1. All it remembers is in `memory` (large, sent page by page) or in `cpu` (small, sent whole). A
//    variable of this module would stay behind.
// 2. `cpu` is plain data: numbers, texts, arrays and objects of these.
// 3. It is deterministic: no clock, no Math.random, and no vCPU writes where another one works.

const WIDTH = 1024; // cells of one row; a cell is one byte: 1 alive, 0 dead
const DEFAULT_DENSITY = "0.3";

export default {
  name: "game-of-life",
  summary: "Conway's Game of Life, one world per vCPU",

  // What `--set` may change. Values arrive as the text that the user wrote.
  settings: {
    density: { summary: "share of cells alive at the start, 0 to 1", default: DEFAULT_DENSITY },
  },

  // Called once, where the guest is born. Fills memory and returns the state of each vCPU.
  boot(memory, options, vcpuCount) {
    const density = Number(options.density ?? DEFAULT_DENSITY);
    if (!(density >= 0 && density <= 1)) throw new Error("density must be a number from 0 to 1");

    // Each vCPU has a part of memory of its own, with room for two worlds: the one that is, and the
    // one that comes next.
    const partBytes = memory.byteLength / vcpuCount;
    const rows = Math.floor(partBytes / 2 / WIDTH);
    const cpus = [];
    for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
      const cpu = { address: Math.floor(vcpu * partBytes), rows, row: 0, generation: 0, alive: 0 };
      sow(memory, cpu, density, vcpu + 1);
      cpus.push(cpu);
    }
    return cpus;
  },

  // Called again and again, on whatever host the guest is. One operation is one row of the next
  // world. Between two calls the guest may move.
  step(memory, cpu, operations) {
    for (let done = 0; done < operations; done++) {
      if (cpu.row === 0) cpu.alive = 0;
      cpu.alive += nextRow(memory, cpu, cpu.row);
      cpu.row++;
      if (cpu.row === cpu.rows) {
        cpu.row = 0;
        cpu.generation++;
      }
    }
    return operations;
  },
};

// The two worlds take turns: one is read while the other is written.
function worldAt(cpu, generation) {
  return cpu.address + (generation % 2) * cpu.rows * WIDTH;
}

function sow(memory, cpu, density, seed) {
  const cells = new Uint8Array(WIDTH);
  let random = seed;
  for (let row = 0; row < cpu.rows; row++) {
    for (let x = 0; x < WIDTH; x++) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      cells[x] = random / 2 ** 32 < density ? 1 : 0;
    }
    memory.writeBytes(worldAt(cpu, 0) + row * WIDTH, cells);
  }
}

// Writes one row of the next world and returns how many of its cells are alive. The world has no
// edge: its last row and column touch the first.
function nextRow(memory, cpu, row) {
  const world = worldAt(cpu, cpu.generation);
  const above = world + ((row + cpu.rows - 1) % cpu.rows) * WIDTH;
  const here = world + row * WIDTH;
  const below = world + ((row + 1) % cpu.rows) * WIDTH;
  const next = worldAt(cpu, cpu.generation + 1) + row * WIDTH;

  const column = (x) =>
    memory.loadU8(above + x) + memory.loadU8(here + x) + memory.loadU8(below + x);

  let alive = 0;
  let left = column(WIDTH - 1);
  let middle = column(0);
  for (let x = 0; x < WIDTH; x++) {
    const right = column((x + 1) % WIDTH);
    const self = memory.loadU8(here + x);
    const neighbours = left + middle + right - self;
    const lives = neighbours === 3 || (neighbours === 2 && self === 1) ? 1 : 0;
    memory.store8(next + x, lives);
    alive += lives;
    left = middle;
    middle = right;
  }
  return alive;
}
