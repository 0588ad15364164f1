import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Runs the compiled tests with Node's own runner.
 *
 *     npm test                                  all of them
 *     npm test -- hostile unit/memory           files whose path has one of these in it
 *     npm test -- --test-name-pattern=epoch     flags go to the runner
 */

/** Their tests start daemons, or measure; beside others they would only be slower and less sure. */
const ALONE = ["hostile/", "process/"];

/** A file that is not done by then hangs. */
const TIMEOUT_MS = 10 * 60 * 1000;

const root = fileURLToPath(new URL("../test/", import.meta.url));
const sources = fileURLToPath(new URL("../../test/", import.meta.url));

function testFiles(filters: readonly string[]): string[] {
  return (
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".test.js"))
      // The compiler leaves behind what it made of a test that is gone.
      .filter((file) => existsSync(`${sources}${file.replace(/js$/, "ts")}`))
      .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  );
}

const argv = process.argv.slice(2);
const flags = argv.filter((argument) => argument.startsWith("-"));
const files = testFiles(argv.filter((argument) => !argument.startsWith("-")));
if (files.length === 0) {
  console.error(`no test file has ${argv.join(" or ")} in its path`);
  process.exit(1);
}

const seed = process.env["TRISTAGE_SEED"] ?? String(randomInt(2 ** 31));
console.log(
  `${String(files.length)} test files; TRISTAGE_SEED=${seed} repeats their random choices`,
);

/** Runs `batch`, so many files at a time; the exit code of the runner. */
function run(batch: readonly string[], concurrency: number): number {
  if (batch.length === 0) return 0;
  const runner = spawnSync(
    process.execPath,
    [
      "--test",
      "--test-reporter=spec",
      `--test-concurrency=${String(concurrency)}`,
      `--test-timeout=${String(TIMEOUT_MS)}`,
      ...flags,
      ...batch.map((file) => relative(process.cwd(), `${root}${file}`)),
    ],
    { stdio: "inherit", env: { ...process.env, TRISTAGE_SEED: seed } },
  );
  return runner.status ?? 1;
}

const isAlone = (file: string) => ALONE.some((folder) => file.startsWith(folder));
// The quick ones first: who has broken something hears of it soon.
const codes = [
  run(
    files.filter((file) => !isAlone(file)),
    Math.min(2, availableParallelism()),
  ),
  run(files.filter(isAlone), 1),
];
process.exitCode = codes.find((code) => code !== 0) ?? 0;
