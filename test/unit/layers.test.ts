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

/** Imports that no file may have, and the rule that each breaks. */
const FORBIDDEN: readonly (readonly [file: string, imported: string, rule: string])[] = [
  ["src/clock.ts", "./memory/a.js", "ground"],
  ["src/failure.ts", "node:fs", "ground"],
  ["src/memory/b.ts", "../protocol/a.js", "memory-below"],
  ["src/memory/b.ts", "node:os", "memory-without-node"],
  ["src/memory/kernel.ts", "node:os", "kernel-reads-a-file"],
  ["src/protocol/b.ts", "../memory/a.js", "protocol-below"],
  ["src/protocol/b.ts", "node:buffer", "protocol-without-node"],
  ["src/transport/b.ts", "../source/a.js", "transport-below"],
  ["src/transport/b.ts", "../guest/a.js", "transport-below"],
  ["src/guest/b.ts", "../protocol/a.js", "guest-below"],
  ["src/guest/b.ts", "../transport/a.js", "guest-below"],
  ["src/source/b.ts", "../dest/a.js", "source-below"],
  ["src/source/b.ts", "../host/a.js", "source-below"],
  ["src/dest/b.ts", "../source/a.js", "dest-below"],
  ["src/host/b.ts", "../cli/a.js", "host-below"],
  ["src/cli/b.ts", "../source/a.js", "cli-below"],
  ["src/cli/b.ts", "../guest/a.js", "cli-below"],
  ["src/host/b.ts", "node:net", "sockets-in-transport"],
  ["src/cli/b.ts", "node:tls", "sockets-in-transport"],
  ["src/source/b.ts", "../../test/a.js", "source-code-alone"],
  ["src/cli/b.ts", "../../scripts/a.js", "source-code-alone"],
  ["src/host/a.ts", "./b.js", "no-cycles"],
];

/** Imports that some may have although others may not. */
const ALLOWED: readonly (readonly [file: string, imported: string])[] = [
  ["src/memory/kernel.ts", "node:fs"],
  ["src/memory/b.ts", "../clock.js"],
  ["src/transport/b.ts", "node:net"],
  ["src/transport/b.ts", "../protocol/a.js"],
  ["src/transport/b.ts", "../memory/a.js"],
  ["src/source/b.ts", "../guest/a.js"],
  ["src/dest/b.ts", "../transport/a.js"],
  ["src/host/b.ts", "../source/a.js"],
  ["src/host/b.ts", "../dest/a.js"],
  ["src/cli/b.ts", "../host/a.js"],
  ["src/cli/b.ts", "../transport/address.js"],
];

/** Lays out a small house in which `file` imports `imported`, and returns what is wrong with it. */
function violationsWith(file: string, imported: string, statement: string): Violation[] {
  const folder = mkdtempSync(join(tmpdir(), "tristage-layers-"));
  try {
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    write("tsconfig.json", '{ "compilerOptions": { "module": "NodeNext" } }');
    write("package.json", '{ "type": "module" }');
    for (const ground of ["clock", "failure", "units"]) write(`src/${ground}.ts`, "export {};");
    for (const layer of ["memory", "protocol", "transport", "guest", "source", "dest", "cli"]) {
      write(`src/${layer}/a.ts`, "export const it = 1; export type It = 1;");
    }
    write("src/host/a.ts", "export const it = 1; export type It = 1;");
    write("src/host/b.ts", 'import "./a.js";');
    write("src/transport/address.ts", "export const it = 1; export type It = 1;");
    for (const other of ["test", "scripts"]) write(`${other}/a.ts`, "export const it = 1;");
    write(file, `${statement} ${JSON.stringify(imported)};\nexport const own = 1;\n`);
    return violationsIn(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [file, imported, rule] of FORBIDDEN) {
  test(`${file} may not import ${imported}`, () => {
    const found = violationsWith(file, imported, "import * as it from");
    assert.deepEqual([...new Set(found.map((it) => it.rule))], [rule]);
  });
}

for (const [file, imported] of ALLOWED) {
  test(`${file} may import ${imported}`, () => {
    assert.deepEqual(violationsWith(file, imported, "import * as it from"), []);
  });
}

test("a type counts as an import like any other, except the type of a socket", () => {
  const statement = "import type { It } from";
  const found = violationsWith("src/source/b.ts", "../dest/a.js", statement);
  assert.deepEqual(
    found.map((it) => it.rule),
    ["source-below"],
  );
  assert.deepEqual(violationsWith("src/source/b.ts", "node:net", statement), []);
});

test("every rule of the house has been broken above", () => {
  const config = createRequire(import.meta.url)(CONFIG) as { forbidden: { name: string }[] };
  const broken = new Set(FORBIDDEN.map(([, , rule]) => rule));
  assert.deepEqual(
    config.forbidden.map((it) => it.name).filter((name) => !broken.has(name)),
    [],
  );
});
