import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import fs, {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Frame, FrameDecoder } from "../../../src/protocol/frame.js";
import { FRAME_TYPES } from "../../../src/protocol/pages.js";
import { FaultLine, FaultLines } from "../../../src/transport/fault-lines.js";

const REQUEST_BYTES = 32;

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tristage-fault-lines-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** A pipe whose both ends are ours, as descriptors; what is written blocks or not, as asked for. */
function openPipe(t: TestContext, blocking: boolean) {
  const path = join(folderFor(t), "pipe");
  assert.equal(spawnSync("mkfifo", [path]).status, 0);
  const out = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const flags = constants.O_WRONLY | (blocking ? 0 : constants.O_NONBLOCK);
  const into = openSync(path, flags);
  t.after(() => {
    closeSync(out);
  });
  const takeAll = () => {
    const taken: Buffer[] = [];
    const piece = Buffer.alloc(2 ** 16);
    for (;;) {
      const count = unlessItBlocks(() => readSync(out, piece)) ?? 0;
      if (count === 0) return Buffer.concat(taken);
      taken.push(Buffer.from(piece.subarray(0, count)));
    }
  };
  /** Until nothing more fits. */
  const fill = () => {
    const other = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    for (const size of [4096, 1])
      while (unlessItBlocks(() => writeSync(other, Buffer.alloc(size))));
    closeSync(other);
  };
  return { into, takeAll, fill };
}

/** Undefined where the pipe would block. */
function unlessItBlocks(work: () => number): number | undefined {
  try {
    return work();
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
    return undefined;
  }
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

function wordsOf({ type, body }: Frame): number[] {
  assert.equal(type, FRAME_TYPES.REQUEST);
  return [...new Uint32Array(body.slice().buffer)];
}

test("requests follow the word that the line is attached, in one sequence", (t) => {
  const path = join(folderFor(t), "line");
  const lines = new FaultLines(3);
  lines.open(2, openSync(path, "w"));
  const line = new FaultLine(lines.words, 2);
  line.request(7, 0);
  line.request(9, 1);
  assert.equal(line.flush(), true);
  lines.close();
  const [attached, ...requests] = new FrameDecoder(1024).push(readFileSync(path));
  assert.equal(attached?.type, FRAME_TYPES.ATTACHED);
  assert.deepEqual(requests.map(wordsOf), [
    [7, 0, 2, 0],
    [9, 0, 2, 1],
  ]);
});

test("a request waits for the line to be opened", (t) => {
  const path = join(folderFor(t), "line");
  const lines = new FaultLines(1);
  const line = new FaultLine(lines.words, 0);
  line.request(7, 0);
  assert.equal(line.flush(), false);
  lines.open(0, openSync(path, "w"));
  assert.equal(line.flush(), true);
  assert.equal([...new FrameDecoder(1024).push(readFileSync(path))].length, 2);
  lines.close();
});

test("what a full queue does not take follows later, and nothing twice", (t) => {
  const { into, takeAll } = openPipe(t, false);
  const lines = new FaultLines(1);
  lines.open(0, into);
  const line = new FaultLine(lines.words, 0);
  const decoder = new FrameDecoder(1024);
  const heard: Frame[] = [];
  let asked = 0;
  for (let round = 0; round < 3; round += 1) {
    do line.request(asked++, 0);
    while (line.flush());
    heard.push(...decoder.push(takeAll()));
    assert.equal(line.flush(), true);
  }
  heard.push(...decoder.push(takeAll()));
  assert.deepEqual(
    heard.slice(1).map((frame) => wordsOf(frame)[0]),
    Array.from({ length: asked }, (_, page) => page),
  );
  assert.ok(asked > (3 * 2 ** 12) / REQUEST_BYTES, "the pipe was never full");
  lines.close();
});

test("a request that leaves in pieces is whole on the wire", (t) => {
  const lines = new FaultLines(1);
  const line = new FaultLine(lines.words, 0);
  const wire: number[] = [];
  const room = [100, 5, 0, 20, 1, 100];
  t.mock.method(fs, "writeSync", (_fd: number, bytes: Uint8Array) => {
    const taken = bytes.subarray(0, room.shift());
    if (taken.byteLength === 0) throw Object.assign(new Error("full"), { code: "EAGAIN" });
    wire.push(...taken);
    return taken.byteLength;
  });
  syncBuiltinESMExports();
  try {
    lines.open(0, openSync(join(folderFor(t), "line"), "w"));
    line.request(7, 0);
    const outcomes = Array.from({ length: 5 }, () => line.flush());
    assert.deepEqual(outcomes, [false, false, false, false, true]);
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
    lines.close();
  }
  const [, request, ...more] = new FrameDecoder(1024).push(Uint8Array.from(wire));
  assert.deepEqual(wordsOf(request!), [7, 0, 0, 0]);
  assert.deepEqual(more, []);
});

test("a line that is closed takes requests and says nothing", (t) => {
  const path = join(folderFor(t), "line");
  const fd = openSync(path, "w");
  const lines = new FaultLines(1);
  lines.open(0, fd);
  const before = readFileSync(path);
  lines.close();
  assert.equal(isOpen(fd), false);
  // Whoever opens a file now is given the same number.
  const other = openSync(path, "r+");
  assert.equal(other, fd);
  const line = new FaultLine(lines.words, 0);
  line.request(7, 0);
  assert.equal(line.flush(), true);
  assert.deepEqual(readFileSync(path), before);
  lines.close();
  assert.equal(isOpen(other), true);
  closeSync(other);
});

test("a line that is opened after the end is closed at once", (t) => {
  const fd = openSync(join(folderFor(t), "line"), "w");
  const lines = new FaultLines(1);
  lines.close();
  lines.open(0, fd);
  assert.equal(isOpen(fd), false);
});

test("a request to nobody counts as said", (t) => {
  const path = join(folderFor(t), "line");
  const lines = new FaultLines(1);
  lines.open(0, openSync(path, "a"));
  const line = new FaultLine(lines.words, 0);
  const broken = new Int32Array(lines.words);
  closeSync(broken[0]! - 1);
  line.request(7, 0);
  assert.equal(line.flush(), true);
});

test("a descriptor is closed by the vCPU that writes to it, once it has written", async (t) => {
  const { into, takeAll, fill } = openPipe(t, true);
  const lines = new FaultLines(1);
  lines.open(0, into);
  fill();
  // Writes to a full pipe, so it is in the middle of it until somebody reads.
  const vcpu = new Worker(
    `import { workerData } from "node:worker_threads";
     const { FaultLine } = await import(workerData.module);
     const line = new FaultLine(workerData.words, 0);
     line.request(7, 0);
     line.flush();`,
    {
      eval: true,
      trackUnmanagedFds: false, // as platform/spare-threads.ts has it
      workerData: {
        module: new URL("../../../src/transport/fault-lines.js", import.meta.url).href,
        words: lines.words,
      },
    },
  );
  const ended = once(vcpu, "exit");
  const state = new Int32Array(lines.words);
  while (Atomics.load(state, 0) > 0) {
    const first = await Promise.race([ended, setImmediate("still at it")]);
    assert.equal(first, "still at it", "it did not wait for the pipe");
  }
  lines.close();
  assert.equal(isOpen(into), true);
  takeAll();
  await ended;
  assert.equal(isOpen(into), false);
});
