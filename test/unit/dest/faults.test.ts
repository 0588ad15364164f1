import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Arrival, type ArrivalSink } from "../../../src/dest/arrival.js";
import { ArrivalTables } from "../../../src/dest/arrival-tables.js";
import { install } from "../../../src/dest/take-over.js";
import { Guest } from "../../../src/guest/guest.js";
import { PageBitmap } from "../../../src/memory/bitmap.js";
import { everyPage } from "../../../src/memory/geometry.js";
import { PageTables } from "../../../src/memory/page-tables.js";
import { GuestRam } from "../../../src/memory/ram.js";
import { VCPU_WORDS, vcpuWords } from "../../../src/memory/words.js";
import { FrameDecoder } from "../../../src/protocol/frame.js";
import { FRAME_TYPES, PURPOSE, RUN_KIND } from "../../../src/protocol/pages.js";
import { FaultLines } from "../../../src/transport/fault-lines.js";
import { guestModule } from "../../process/modules.js";

const VCPUS = [0, 1];
const RAM_BYTES = 64 * 1024;
const MISSING = 3;

const SILENT: ArrivalSink = {
  torn: () => undefined,
  credit: () => undefined,
  barrierPassed: () => undefined,
  requestAgain: () => undefined,
  whole: () => undefined,
};

test(
  "two vCPUs that fault on one page ask for it once, and both go on when it comes",
  { timeout: 60_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tristage-faults-"));
    t.after(() => {
      rmSync(folder, { recursive: true });
    });
    const program = guestModule(`
    boot: () => [{}, {}],
    step(memory) {
      memory.loadU32(${String(MISSING * 4096)});
      return 1;
    }`);
    const programSha256 = createHash("sha256").update(readFileSync(program)).digest("hex");
    const ram = GuestRam.allocate(RAM_BYTES, VCPUS.length);
    const tables = ArrivalTables.create(ram.pageCount, 1);
    const dirty = PageBitmap.empty(ram.pageCount);
    dirty.add(MISSING);
    ram.arrived.addRange(everyPage(RAM_BYTES));
    ram.arrived.subtract(dirty);
    const states = { cpus: [{}, {}], operations: [0, 0] };
    install({ states, dirty }, new PageTables(ram), tables);
    const lines = new FaultLines(VCPUS.length);
    const paths = VCPUS.map((vcpu) => join(folder, String(vcpu)));
    paths.forEach((path, vcpu) => {
      lines.open(vcpu, openSync(path, "w"));
    });
    const { requested, prepulled } = tables.handle;
    const guest = await Guest.create(
      {
        ...{ guestId: "g", name: "module", program, programSha256, options: {} },
        ...{ ramBytes: RAM_BYTES, vcpuCount: VCPUS.length },
      },
      ram,
      (failure) => assert.fail(failure.code),
      { lines: lines.words, requested, prepulled },
    );
    try {
      const words = (name: keyof typeof VCPU_WORDS) =>
        VCPUS.map((vcpu) => Atomics.load(ram.words, vcpuWords(vcpu) + VCPU_WORDS[name]));
      const started = guest.start(states);
      while (words("AWAITED").some((awaited) => awaited !== MISSING + 1)) await setImmediate();
      const arrival = new Arrival(ram, tables, SILENT, null);
      const frame = {
        ...{ purpose: PURPOSE.PULL, pass: 0, checksummed: 0, frameBytes: 28 },
        checksums: new Int32Array(0),
        runs: [{ firstPage: MISSING, pageCount: 1, kind: RUN_KIND.ZERO }],
      };
      arrival.place(frame);
      arrival.accept(frame);
      await started;
      while (words("OPERATIONS").includes(0)) await setImmediate();
      assert.deepEqual(words("FAULTS"), [1, 1]);
      // What is asked for leaves before the vCPU that asks goes on.
      const said = paths.flatMap((path) => [...new FrameDecoder(1024).push(readFileSync(path))]);
      const requests = said.filter(({ type }) => type === FRAME_TYPES.REQUEST);
      const pages = requests.map(({ body }) => new Uint32Array(body.slice().buffer)[0]);
      assert.deepEqual(pages, [MISSING]);
    } finally {
      await guest.dispose();
      lines.close();
    }
  },
);
