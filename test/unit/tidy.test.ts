import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { inRepository } from "../repository.js";

const MOST_LINES = 400;

/** A TypeScript file, by its path from the repository's root. */
interface SourceFile {
  readonly path: string;
  readonly text: string;
}

function filesBelow(folder: string): SourceFile[] {
  return readdirSync(inRepository(folder), { recursive: true, encoding: "utf8" })
    .map((path) => `${folder}/${path.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({ path, text: readFileSync(inRepository(path), "utf8") }));
}

const source = filesBelow("src");
const tests = filesBelow("test");
const scripts = filesBelow("scripts");

/** The code without comments: a comment may name what the code must not use. */
function codeOf({ text }: SourceFile): string {
  return text.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/(?<![:"'`])\/\/.*$/gm, "");
}

/** Files, other than those that `mayHave` it, whose code has `pattern`. */
function filesWith(
  pattern: RegExp,
  files: readonly SourceFile[],
  mayHave: (path: string) => boolean = () => false,
): string[] {
  return files
    .filter((file) => !mayHave(file.path) && pattern.test(codeOf(file)))
    .map(({ path }) => path);
}

test("only src/clock.ts reads the time", () => {
  const reading =
    /\bDate\.now\b|\bnew Date(?:\(\)|;)|\bDate\(\)|\bperformance\.(?:now|timeOrigin)\b|\bhrtime\b/;
  const isClock = (path: string) => path === "src/clock.ts";
  assert.deepEqual(filesWith(reading, source, isClock), []);
  assert.equal(filesWith(reading, source).length, 1, "the pattern finds the clock itself");
});

test("only the command line prints", () => {
  const printing = /\bconsole\.|\bprocess\.stdout\b/;
  assert.deepEqual(
    filesWith(printing, source, (path) => path.startsWith("src/cli/")),
    [],
  );
});

test(`no file of src is longer than ${String(MOST_LINES)} lines`, () => {
  const long = source.filter(({ text }) => text.split("\n").length - 1 > MOST_LINES);
  assert.deepEqual(
    long.map(({ path }) => path),
    [],
  );
});

test("no file is named after nothing", () => {
  const vague = /^(?:utils?|helpers?|misc|common|index)\.ts$/;
  const paths = [...source, ...tests, ...scripts].map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => vague.test(basename(path))),
    [],
  );
});

/** Whether nothing stands in a file but what it takes from others and hands on. */
function onlyPassesOn(file: SourceFile): boolean {
  const names = String.raw`(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})`;
  const from = String.raw`\s+from\s+["'][^"']+["']`;
  const handedOn = new RegExp(
    String.raw`^\s*export\s+(?:type\s+)?(?:${names}${from}|\{[^}]*\});?`,
    "gm",
  );
  const taken = new RegExp(String.raw`^\s*import\s[^"']*["'][^"']+["'];?`, "gm");
  const code = codeOf(file);
  const rest = code.replaceAll(handedOn, "");
  return rest !== code && rest.replaceAll(taken, "").trim() === "";
}

test("no file only passes on what others export", () => {
  const passing = [...source, ...tests, ...scripts].filter(onlyPassesOn);
  assert.deepEqual(
    passing.map(({ path }) => path),
    [],
  );
});

test("a file that only passes on is known from one that has something of its own", () => {
  const found = (text: string) => onlyPassesOn({ path: "", text });
  for (const text of [
    'export * from "./a.js";',
    '/** All of it. */\nexport * as a from "./a.js";\nexport type { It } from "./b.js";\n',
    'export {\n  one,\n  two as three,\n} from "./a.js";\n',
    'import { one } from "./a.js";\nimport type { It } from "./b.js";\nexport { one, type It };\n',
  ]) {
    assert.equal(found(text), true, text);
  }
  for (const text of [
    "",
    'import "./a.js";',
    'import { one } from "./a.js";\none();',
    'export * from "./a.js";\nexport const own = 1;',
    "const own = 1;\nexport { own };",
  ]) {
    assert.equal(found(text), false, text);
  }
});

test("no test is run alone, and none is left out without a reason", () => {
  const left = /\b(?:test|describe|it)\.(?:only|skip|todo)\(|\bonly: true\b|\bskip: true\b/;
  assert.deepEqual(filesWith(left, tests), []);
});
