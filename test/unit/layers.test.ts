import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { inRepository } from "../repository.js";

const CONFIG = inRepository(".dependency-cruiser.cjs");
const CRUISER = inRepository("node_modules/dependency-cruiser/bin/dependency-cruise.mjs");

interface Violation {
  readonly rule: string;
  readonly from: string;
  readonly to: string;
}

/** What breaks the rules of the house in the tree below `folder`. */
function violationsIn(folder: string): Violation[] {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [CRUISER, "--config", CONFIG, "--output-type", "json", "src"],
    { cwd: folder, encoding: "utf8", maxBuffer: 2 ** 28 },
  );
  if (!stdout.startsWith("{")) assert.fail(`dependency-cruiser did not run: ${stderr}`);
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: { rule: { name: string }; from: string; to: string }[] };
  };
  return summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }));
}

test("the layers of the house are kept", () => {
  assert.deepEqual(violationsIn(inRepository("")), []);
});

/** A small house: what each of its files imports, and the rule that this breaks; null for none. */
const HOUSE: readonly (readonly [file: string, imports: string, broken: string | null])[] = [
  ["src/clock.ts", "./memory/a.js", "ground"],
  ["src/failure.ts", "node:fs", "ground"],
  ["src/units.ts", "./clock.js", null],

  ["src/platform/up.ts", "../memory/a.js", "platform-below"],
  ["src/platform/module.ts", "node:module", null],

  ["src/memory/up.ts", "../protocol/a.js", "memory-below"],
  ["src/memory/io.ts", "node:os", "memory-without-node"],
  ["src/memory/kernel.ts", "node:os", "kernel-reads-its-file"],
  ["src/memory/time.ts", "../clock.js", null],

  ["src/protocol/aside.ts", "../memory/a.js", "protocol-below"],
  ["src/protocol/io.ts", "node:buffer", "protocol-without-node"],
  ["src/protocol/fail.ts", "../failure.js", null],

  ["src/transport/up.ts", "../source/a.js", "transport-below"],
  ["src/transport/aside.ts", "../guest/a.js", "transport-below"],
  ["src/transport/socket.ts", "node:net", null],
  ["src/transport/frame.ts", "../protocol/a.js", null],
  ["src/transport/page.ts", "../memory/a.js", "transport-below"],

  ["src/guest/aside.ts", "../protocol/a.js", "guest-below"],
  ["src/guest/other.ts", "../transport/a.js", "guest-below"],
  ["src/guest/page.ts", "../memory/a.js", null],
  ["src/guest/fault.ts", "../transport/fault-lines.js", null],

  ["src/source/aside.ts", "../dest/a.js", "source-below"],
  ["src/source/up.ts", "../host/a.js", "source-below"],
  ["src/source/test.ts", "../../test/a.js", "source-code-alone"],
  ["src/source/guest.ts", "../guest/a.js", null],

  ["src/dest/aside.ts", "../source/a.js", "dest-below"],
  ["src/dest/socket.ts", "../transport/a.js", null],

  ["src/host/up.ts", "../cli/a.js", "host-below"],
  ["src/host/socket.ts", "node:net", "sockets-in-transport"],
  ["src/host/circle.ts", "./circle.js", "no-cycles"],
  ["src/host/source.ts", "../source/a.js", null],
  ["src/host/dest.ts", "../dest/a.js", null],
  ["src/host/system.ts", "../platform/a.js", null],

  ["src/cli/deep.ts", "../source/a.js", "cli-below"],
  ["src/cli/guest.ts", "../guest/a.js", "cli-below"],
  ["src/cli/socket.ts", "node:tls", "sockets-in-transport"],
  ["src/cli/script.ts", "../../scripts/a.js", "source-code-alone"],
  ["src/cli/host.ts", "../host/a.js", "host-for-hosts"],
  ["src/cli/session.ts", "./host-session.js", "host-for-hosts"],
  ["src/cli/host-session.ts", "../host/a.js", null],
  ["src/cli/service.ts", "../host/service.js", null],
  ["src/cli/address.ts", "../transport/address.js", null],
];

/** As above, for an import of a type alone. */
const HOUSE_OF_TYPES: typeof HOUSE = [
  ["src/source/type.ts", "../dest/a.js", "source-below"],
  ["src/source/socket.ts", "node:net", null],
  ["src/cli/host-type.ts", "../host/a.js", null],
];

test("an import across the layers is noticed, and only that", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tristage-layers-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
  });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  write("tsconfig.json", '{ "compilerOptions": { "module": "NodeNext" } }');
  write("package.json", '{ "type": "module" }');
  for (const layer of [
    "platform",
    "memory",
    "protocol",
    "transport",
    "guest",
    "source",
    "dest",
    "host",
    "cli",
  ]) {
    write(`src/${layer}/a.ts`, "export const it = 1; export type It = 1;");
  }
  for (const file of ["transport/address", "transport/fault-lines", "host/service"])
    write(`src/${file}.ts`, "export const it = 1;");
  for (const other of ["test", "scripts"]) write(`${other}/a.ts`, "export const it = 1;");
  for (const [file, imported] of HOUSE) write(file, `import * as it from "${imported}";`);
  for (const [file, imported] of HOUSE_OF_TYPES)
    write(file, `import type { It } from "${imported}";`);

  const expected = [...HOUSE, ...HOUSE_OF_TYPES].flatMap(([from, , rule]) =>
    rule === null ? [] : [`${from} breaks ${rule}`],
  );
  const found = violationsIn(folder).map(({ from, rule }) => `${from} breaks ${rule}`);
  assert.deepEqual(found.sort(), expected.sort());
});

test("every rule of the house is broken by one of the imports above", () => {
  const config = createRequire(import.meta.url)(CONFIG) as { forbidden: { name: string }[] };
  const broken = new Set(HOUSE.map(([, , rule]) => rule));
  assert.deepEqual(
    config.forbidden.map((it) => it.name).filter((name) => !broken.has(name)),
    [],
  );
});
