import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clearLine, createInterface, cursorTo } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Arguments } from "../src/cli/arguments.js";
import { openPresenter } from "../src/cli/open-presenter.js";
import { formatNumber } from "../src/cli/show/sentences.js";
import { styleFor } from "../src/cli/show/style.js";
import { type GuestIdentity, replay } from "../src/guest/identity.js";
import type { GuestDigest, HostEvent, ListeningEvent } from "../src/host/events.js";
import type { Report } from "../src/protocol/report.js";
import { formatBytes } from "../src/units.js";

/**
 * `npm run demo`: a key-value store full of real text moves between two processes while it serves requests.
 * Shows the migration as `tristage source` does, then runs the same guest once more, without moving it, and
 * compares the two. `--memory` and `--seconds` (of load before it moves) make it smaller or larger.
 */

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
/** Text that every installation has: sources, manuals and licences of the installed packages. */
const TEXT = fileURLToPath(new URL("../../node_modules", import.meta.url));
const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;
const DEFAULT_SECONDS = 2;
/** Load that leaves two cores room for the migration, and that is soon done again to compare. */
const REQUESTS_PER_SECOND = 100_000;
const LOAD_TEXT = `  load         ${formatNumber(REQUESTS_PER_SECOND)} requests a second, half of them writes`;
const VCPUS = 2;
/** What a shell reports of a process that such a signal ends. */
const SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** The journals of both hosts; nobody needs them after the demo. */
const stateDirectory = mkdtempSync(join(tmpdir(), "tristage-demo-"));
/** What must be over before the demo is: whatever it comes to, no host outlives it. */
const hosts: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[] = [];

function killHosts(): Promise<unknown> {
  for (const { child } of hosts) child.kill("SIGKILL");
  return Promise.all(hosts.map(({ ended }) => ended));
}

process.once("exit", () => {
  void killHosts();
  rmSync(stateDirectory, { recursive: true, force: true });
});

/** A host in a process of its own. */
interface HostProcess {
  readonly pid: number;
  readonly listening: ListeningEvent;
  /** Resolves with its exit code, and with what it said on stderr. */
  readonly ended: Promise<{ readonly code: number | null; readonly complaint: string }>;
  stop(): Promise<unknown>;
}

/** Resolves when the host listens; `show` hears of what happens on it then. */
async function startHost(
  command: "dest" | "source",
  options: readonly string[],
  show: (event: HostEvent) => void = () => undefined,
): Promise<HostProcess> {
  const argv = [CLI, command, ...options, "--state-dir", join(stateDirectory, command), "--json"];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, complaint }));
  hosts.push({ child, ended });
  const listening = new Promise<ListeningEvent>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = JSON.parse(line) as HostEvent;
      if (event.event === "listening") resolve(event);
      else show(event);
    });
    ended.then(() => {
      reject(new Error(`tristage ${command} did not start: ${complaint}`));
    }, reject);
  });
  return {
    pid: child.pid ?? 0,
    listening: await listening,
    ended,
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

const screen = process.stdout;
const style = styleFor(screen);
const presenter = await openPresenter({ json: false });

function print(text: string): void {
  presenter.aside(() => screen.write(`${text}\n`));
}

/** Shows `text` until `work` is done; a terminal then has the line free for what comes next. */
async function meanwhile<Result>(text: string, work: Promise<Result>): Promise<Result> {
  screen.write(screen.isTTY ? text : `${text}\n`);
  try {
    return await work;
  } finally {
    if (screen.isTTY) {
      cursorTo(screen, 0);
      clearLine(screen, 0);
    }
  }
}

/** Moves the guest; resolves when it is whole on the destination, and the source process has ended. */
async function migrate(dest: HostProcess, memoryBytes: number, seconds: number): Promise<Report> {
  let report: Report | undefined;
  const source = await startHost(
    "source",
    [
      ...["--guest", "kv", "--vcpus", String(VCPUS), "--memory", String(memoryBytes)],
      ...["--set", `data=${TEXT}`, "--set", "mix=A"],
      ...["--set", `rate=${String(REQUESTS_PER_SECOND)}ops/s`],
      ...["--migrate-to", dest.listening.address ?? "", "--after", String(seconds), "--once"],
    ],
    (event) => {
      if (event.event === "report") report = event;
      if (event.event !== "guest") presenter.show(event);
      else if (event.state === "running") print(`${LOAD_TEXT}; moving in ${String(seconds)} s`);
    },
  );
  const memory = `${formatBytes(memoryBytes)}, ${String(VCPUS)} vCPUs`;
  print(`  source       pid ${String(source.pid)}; its guest: ${memory}, the text in node_modules`);
  const { code, complaint } = await source.ended;
  if (report?.outcome === "completed") return report;
  throw new Error(`the migration did not complete (exit code ${String(code)}) ${complaint}`);
}

/** The identity of the guest on a host. */
async function askDigest({ listening }: HostProcess, guestId: string): Promise<GuestDigest> {
  const response = await fetch(`http://${listening.control}/guests/${guestId}/digest`);
  if (!response.ok) throw new Error(`the destination gives no digest: ${await response.text()}`);
  return (await response.json()) as GuestDigest;
}

/** The identity of a guest that did the same and never moved. */
function runUnmoved(digest: GuestDigest): Promise<GuestIdentity> {
  const { operations, memoryBytes, guest, ...same } = digest;
  const geometry = { ramBytes: memoryBytes, vcpuCount: operations.length };
  return replay({ ...same, ...geometry, name: guest, programSha256: null }, operations);
}

function differences(one: GuestIdentity, other: GuestIdentity): string[] {
  const cpus = one.cpus.flatMap((cpu, vcpu) =>
    cpu === other.cpus[vcpu] ? [] : [`CPU state ${String(vcpu)}`],
  );
  return one.memorySha256 === other.memorySha256 ? cpus : ["memory", ...cpus];
}

async function demonstrate(memoryBytes: number, seconds: number): Promise<number> {
  print(style("bold", "a key-value store moves to another process while it serves requests"));
  const dest = await startHost("dest", ["--listen", "127.0.0.1:0"]);
  print(`  destination  pid ${String(dest.pid)}, ${dest.listening.address ?? ""}`);
  const { guestId } = await migrate(dest, memoryBytes, seconds);

  const moved = await meanwhile("asking the destination for a digest …", askDigest(dest, guestId));
  await dest.stop();
  const requests = formatNumber(moved.operations.reduce((sum, count) => sum + count, 0));
  const text = `running it from birth without moving it: ${requests} requests …`;
  const unmoved = await meanwhile(text, runUnmoved(moved));
  const wrong = differences(moved, unmoved);
  if (wrong.length > 0) {
    print(style("red", `✗ the guest differs from one that never moved, in ${wrong.join(" and ")}`));
    return 1;
  }
  const hash = moved.memorySha256.slice(0, 8);
  const verdict = `✓ byte for byte the guest that never moved: ${requests} requests, SHA-256 ${hash}`;
  print(style(["bold", "green"], verdict));
  return 0;
}

/** Resolves with an exit code when a signal asks for the end. */
function interrupted(): Promise<number> {
  return new Promise((resolve) => {
    for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES)) {
      process.on(signal, () => {
        resolve(code);
      });
    }
  });
}

async function demo(): Promise<number> {
  const { values } = parseArgs({
    options: { memory: { type: "string" }, seconds: { type: "string" } },
  });
  const args = new Arguments(values);
  const memoryBytes = args.memory("memory") ?? DEFAULT_MEMORY_BYTES;
  const afterMs = args.wait("seconds") ?? DEFAULT_SECONDS * 1000;
  return demonstrate(memoryBytes, afterMs / 1000);
}

let code = 1;
try {
  code = await Promise.race([demo(), interrupted()]);
} catch (error) {
  presenter.aside(() => {
    console.error(`demo: ${error instanceof Error ? error.message.trimEnd() : String(error)}`);
  });
}
presenter.close();
await killHosts();
process.exit(code);
