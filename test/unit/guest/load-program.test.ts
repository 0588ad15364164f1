import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, test } from "node:test";
import { type Failure, MigrationError } from "../../../src/failure.js";
import { loadProgram } from "../../../src/guest/load-program.js";
import { BUILTIN_PROGRAMS } from "../../../src/guest/programs/builtin.js";
import { inRepository } from "../../repository.js";

const folder = mkdtempSync(join(tmpdir(), "tristage-load-"));
after(() => {
  rmSync(folder, { recursive: true });
});

let modules = 0;
function moduleOf(text: string, name = `module-${String(modules++)}.mjs`): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function failureOf(nameOrPath: string): Promise<Failure> {
  try {
    await loadProgram(nameOrPath);
  } catch (error) {
    assert.ok(error instanceof MigrationError, String(error));
    return error.failure;
  }
  assert.fail("it should have failed");
}

const WHOLE = `name: "mine", summary: "", settings: {}, boot: () => [{}], step: () => 1`;

test("every built-in guest loads by its name, and by the source that this gives", async () => {
  for (const program of BUILTIN_PROGRAMS) {
    const loaded = await loadProgram(program.name);
    assert.deepEqual(loaded, { program, source: `builtin:${program.name}`, sha256: null });
    assert.deepEqual(await loadProgram(loaded.source), loaded);
  }
});

test("no two built-in guests have the same name", () => {
  const names = new Set(BUILTIN_PROGRAMS.map((program) => program.name));
  assert.equal(names.size, BUILTIN_PROGRAMS.length);
});

test("a module loads by a relative path, with the digest of its file", async () => {
  const path = inRepository("examples/game-of-life.js");
  const loaded = await loadProgram(relative(process.cwd(), path));
  assert.equal(loaded.program.name, "game-of-life");
  assert.equal(loaded.source, path);
  assert.equal(loaded.sha256, createHash("sha256").update(readFileSync(path)).digest("hex"));
});

test("a module may export its guest by default or as program", async () => {
  for (const text of [`export default { ${WHOLE} }`, `export const program = { ${WHOLE} }`]) {
    assert.equal((await loadProgram(moduleOf(text))).program.name, "mine");
  }
});

test("a module that was edited is loaded as it is now", async () => {
  const path = moduleOf(`export default { ${WHOLE} }`);
  const before = await loadProgram(path);
  moduleOf(`export default { ${WHOLE.replace("mine", "changed")} }`, relative(folder, path));
  const now = await loadProgram(path);
  assert.equal(now.program.name, "changed");
  assert.notEqual(now.sha256, before.sha256);
});

test("an unknown name is refused with the names that there are", async () => {
  const known = BUILTIN_PROGRAMS.map((program) => program.name);
  assert.deepEqual(await failureOf("doom"), { code: "GUEST_UNKNOWN", name: "doom", known });
});

test("a module that is not there is refused by its whole path", async () => {
  const path = join(folder, "absent.mjs");
  assert.deepEqual(await failureOf(path), { code: "GUEST_MODULE_MISSING", path });
  assert.deepEqual(await failureOf("absent.mjs"), {
    code: "GUEST_MODULE_MISSING",
    path: join(process.cwd(), "absent.mjs"),
  });
});

const INVALID: readonly (readonly [string, RegExp])[] = [
  ["export const other = 1", /must export an object/],
  ["export default 7", /must export an object/],
  [`export default { ${WHOLE}, name: "" }`, /"name"/],
  [`export default { ${WHOLE}, summary: 1 }`, /"summary"/],
  [`export default { ${WHOLE}, settings: undefined }`, /"settings"/],
  [`export default { ${WHOLE}, settings: { speed: 5 } }`, /"settings.speed"/],
  [`export default { ${WHOLE}, settings: { speed: { summary: "s" } } }`, /"settings.speed"/],
  [`export default { ${WHOLE}, boot: undefined }`, /"boot"/],
  [`export default { ${WHOLE}, step: {} }`, /"step"/],
  [`export default { ${WHOLE}, operationsPerSecond: 5 }`, /"operationsPerSecond"/],
  ["export default {", /Unexpected/],
  [`throw new Error("no luck")`, /no luck/],
];

for (const [text, detail] of INVALID) {
  test(`a module that says ${text} is refused with the flaw named`, async () => {
    const path = moduleOf(text);
    const failure = await failureOf(path);
    assert.ok(failure.code === "GUEST_MODULE_INVALID", failure.code);
    assert.equal(failure.path, path);
    assert.match(failure.detail, detail);
  });
}
