import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../../../src/cli/run.js";
import { RecordingSink } from "./recording.js";

const program = fileURLToPath(new URL("../../../src/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tristage-command-line-"));
after(() => {
  rmSync(folder, { recursive: true });
});

interface Ended {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real program in a place of its own, and in a country where English is not spoken. */
function tristage(...words: string[]): Promise<Ended> {
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: folder, LANG: "de_DE" };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

const SOURCE = ["source", "--guest", "kv"];
const DEST = ["dest", "--listen", "127.0.0.1:0"];

const MOVE = ["migrate", "--from", "a:1", "--to", "b:1"];

/** Command lines that make no sense, and what the complaint must mention. */
const NONSENSE: readonly (readonly [string[], RegExp])[] = [
  [[], /name a command; see tristage --help/],
  [["fly"], /fly; see tristage --help/],
  [["dest"], /give --listen/],
  [["dest", "--listen"], /listen; see tristage dest --help/],
  [["dest", "--listen", "7000"], /--listen "7000" is not HOST:PORT/],
  [[...DEST, "--lisen", "a:1"], /lisen; see tristage dest --help/],
  [[...DEST, "extra"], /extra; see tristage dest --help/],
  [[...DEST, "--listen", "a:1"], /--listen was given more than once/],
  [[...DEST, "--ask-for", "ages"], /--ask-for "ages" is not a time up to a day/],
  [[...DEST, "--token-file", join(folder, "nothing")], /nothing cannot be read/],
  [[...SOURCE], /give --memory/],
  [["source", "--memory", "1GiB"], /give --guest/],
  [[...SOURCE, "--memory", "lots"], /--memory "lots" is not a size/],
  [[...SOURCE, "--memory", "1GiB", "--set", "rate"], /--set "rate" is not key=value/],
  [[...SOURCE, "--memory", "1GiB", "--after", "3"], /--after means nothing without --migrate-to/],
  [[...SOURCE, "--memory", "1GiB", "--migrate-to", "a:0"], /--migrate-to "a:0"/],
  [
    [...SOURCE, "--memory", "1GiB", "--migrate-to", "a:1", "--after", "86401"],
    /--after "86401" is not a time up to a day, as in 500ms, 2s or 2, which is seconds/,
  ],
  [["estimate", ...MOVE.slice(1), "--for", "61"], /--for "61" is not a time up to 60s/],
  [["migrate", "--to", "a:1"], /give --from/],
  [["migrate", "--from", "a:1"], /give --to/],
  [["migrate", "--from", "a:1", "--to", "b:1", "--max-bandwidth", "fast"], /"fast" is not a rate/],
  [[...MOVE, "--algorithm", "teleport"], /--algorithm "teleport" is not one of stop-and-copy,/],
  [[...MOVE, "--downtime-limit", "300"], /--downtime-limit "300" is not a time .* unit/],
  [[...MOVE, "--max-downtime", "0ms"], /--max-downtime "0ms" is not a time/],
  [[...MOVE, "--max-total", "2000min"], /--max-total "2000min" is not a time up to a day/],
  [
    [...MOVE, "--algorithm", "post-copy", "--max-rounds", "3"],
    /--max-rounds means nothing to post-copy; it is for pre-copy/,
  ],
  [[...MOVE, "--max-rounds", "3"], /--max-rounds means nothing to three-stage/],
  [[...MOVE, "--algorithm", "pre-copy", "--max-rounds", "1001"], /from 1 to 1000/],
  [[...MOVE, "--max-downtime", "50ms"], /--max-downtime means nothing to three-stage; .* auto/],
  [[...MOVE, "--algorithm", "auto", "--downtime-limit", "50ms"], /--downtime-limit means nothing/],
  [[...MOVE, "--throttle"], /--throttle means nothing to three-stage; it is for pre-copy/],
  [
    [...MOVE, "--algorithm", "pre-copy", "--throttle-start", "30"],
    /--throttle-start means nothing without --throttle/,
  ],
  [
    [...MOVE, "--algorithm", "pre-copy", "--throttle", "--throttle-max", "10"],
    /cannot start at 20 % and end at 10 %/,
  ],
  [
    [...MOVE, "--algorithm", "stop-and-copy", "--max-postcopy-bandwidth", "1Gbit"],
    /--max-postcopy-bandwidth means nothing to stop-and-copy; it is for post-copy, three-stage/,
  ],
  [
    [...MOVE, "--algorithm", "pre-copy", "--tune", "chunk=64KiB"],
    /--tune chunk=… means nothing to pre-copy/,
  ],
  [
    [...SOURCE, "--memory", "1GiB", "--algorithm", "pre-copy"],
    /--algorithm means nothing without --migrate-to/,
  ],
  [["status", "--from", "here"], /--from "here" is not HOST:PORT/],
  [["guests", "--loud"], /loud; see tristage guests --help/],
];

test("bad usage is one line on stderr that says what to do, and exit code 2", async () => {
  for (const [words, complaint] of NONSENSE) {
    const screen = { stdout: new RecordingSink(), stderr: new RecordingSink() };
    assert.equal(await run(words, screen), 2, words.join(" "));
    assert.match(screen.stderr.text, /^tristage: [^\n]+\n$/, words.join(" "));
    assert.match(screen.stderr.text, complaint);
    assert.equal(screen.stdout.text, "");
  }
});

test("the program itself exits with 2 for bad usage, with its one line on stderr", async () => {
  const { code, stdout, stderr } = await tristage(...DEST, "--lisen", "a:1");
  assert.equal(code, 2);
  assert.equal(stderr, "tristage: Unknown argument: lisen; see tristage dest --help\n");
  assert.equal(stdout, "");
});

test("bad usage with --json is also one error event on stdout", async () => {
  const { code, stdout, stderr } = await tristage("dest", "--listen", "7000", "--json");
  assert.equal(code, 2);
  assert.match(stderr, /^tristage: --listen/);
  const { text, at, ...event } = JSON.parse(stdout) as { text: string; at: string };
  assert.ok(Date.parse(at) > 0, at);
  assert.deepEqual(event, { event: "error", code: "USAGE", migrationId: null });
  assert.equal(`tristage: ${text}\n`, stderr);
});

test("tristage --help names the commands and says what the exit codes mean", async () => {
  const { code, stdout } = await tristage("--help");
  assert.equal(code, 0);
  for (const command of [
    "dest",
    "source",
    "migrate",
    "cancel",
    "estimate",
    "status",
    "pause",
    "resume",
    "discard",
    "guests",
  ]) {
    assert.match(stdout, new RegExp(`tristage ${command} `));
  }
  for (const exitCode of [0, 1, 2, 3, 4]) {
    assert.match(stdout, new RegExp(`^  ${String(exitCode)}  \\w`, "m"));
  }
});

test("the help of a command names its options, and that --once ends guests that arrived", async () => {
  const { code, stdout } = await tristage("dest", "--help");
  assert.equal(code, 0);
  assert.match(stdout, /--listen .*HOST:PORT/);
  assert.match(stdout.replaceAll(/\s+/g, " "), /--once .*guests here end with it/);
});

test("help says what a time is unless it is given", async () => {
  const helpOf = async (command: string) =>
    (await tristage(command, "--help")).stdout.replaceAll(/\s+/g, " ");
  const [source, dest, estimate] = await Promise.all(["source", "dest", "estimate"].map(helpOf));
  assert.match(source ?? "", /--after .*\[2s\].*--max-rounds .*\[29\].*--max-downtime .*\[300ms\]/);
  for (const help of [source, dest]) assert.match(help ?? "", /--ask-for .*\[30s\]/);
  assert.match(estimate ?? "", /--for .*\[2s\]/);
});

test("tristage --version prints the version of the package", async () => {
  assert.match((await tristage("--version")).stdout, /^\d+\.\d+\.\d+\n$/);
});

test("tristage guests lists the built-in guests with their settings", async () => {
  const { code, stdout } = await tristage("guests");
  assert.equal(code, 0);
  assert.match(stdout, /^kv: \w/m);
  assert.match(stdout, /^ +--set seed=1 +\w/m);
});

test("tristage status without hosts says how to start one, and exits with 0", async () => {
  const { code, stdout } = await tristage("status");
  assert.equal(code, 0);
  assert.match(stdout, /no host of yours/);
});

test("what a host refuses ends migrate with 3, and estimate with 1: nothing was to move", async (context) => {
  const server = createServer((_, response) => {
    response.writeHead(502).end('{"code":"CANNOT_CONNECT","text":"nobody listens there"}');
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => server.close());
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  for (const [command, code] of [
    ["migrate", 3],
    ["estimate", 1],
  ] as const) {
    const screen = { stdout: new RecordingSink(), stderr: new RecordingSink() };
    assert.equal(await run([command, "--from", host, "--to", "b:1"], screen), code, command);
    assert.equal(screen.stderr.text, "tristage: nobody listens there\n");
  }
});

test("tristage migrate from a host that is not there exits with 1, not with 3", async () => {
  const words = ["migrate", "--from", "127.0.0.1:1", "--to", "127.0.0.1:2", "--json"];
  const { code, stdout, stderr } = await tristage(...words);
  assert.equal(code, 1);
  assert.match(stderr, /^tristage: cannot connect to 127\.0\.0\.1:1/);
  assert.equal((JSON.parse(stdout) as { code: string }).code, "CANNOT_CONNECT");
});
