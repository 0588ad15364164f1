import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { backMemory } from "./back-memory.js";
import { spawnNode } from "./children.js";
import type { Link } from "./link.js";
import { post } from "./post.js";
import { type Memory, memoryOf } from "./process-memory.js";
import type { HostEvent } from "../../src/host/events.js";
import type { MigrateRequest } from "../../src/host/service.js";
import type { Report } from "../../src/protocol/report.js";
import { parseSize } from "../../src/units.js";

const CLI = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
/** Kernel ticks per second in /proc: fixed by the kernel's interface. */
const TICKS_PER_SECOND = 100;

/** One migration of the benchmark, and what it cost each process. */
export interface Run {
  readonly report: Report;
  readonly source: Cost;
  readonly dest: Cost;
  /** Of all cores, in percent, what whoever runs this virtual machine took meanwhile; 0 on bare metal. */
  readonly stolenPercent: number;
}

export interface Cost extends Memory {
  /** Processor seconds from the start of the migration to its report. */
  readonly cpuSeconds: number;
  /** The same by thread: `main`, by the names that threads give themselves, and `rest` for V8's and libuv's. */
  readonly threadSeconds: ReadonlyMap<string, number>;
}

/** How a benchmark moves its guest. */
export interface Plan {
  /** For `tristage source`. */
  readonly guest: readonly string[];
  /** For `POST /migrations`. */
  readonly request?: Omit<MigrateRequest, "to">;
  /** How long the guest runs before it moves. */
  readonly warmUpMs?: number;
  /** How long nothing happens right before it moves. */
  readonly quietMs?: number;
  /** Opens what lies between the hosts, where that is not loopback itself. */
  readonly link?: (address: string) => Promise<Link>;
}

/** Boots a guest in one real process, migrates it to another, and ends both. Throws where the guest did not get there. */
export async function migrateOnce({
  guest,
  request = {},
  warmUpMs = 0,
  quietMs = 0,
  link,
}: Plan): Promise<Run> {
  const state = mkdtempSync(join(tmpdir(), "tristage-bench-"));
  const dest = start(["dest", "--listen", "127.0.0.1:0", "--state-dir", join(state, "dest")]);
  const source = start(["source", "--state-dir", join(state, "source"), ...guest]);
  let opened: Link | undefined;
  try {
    const { address } = await dest.until("listening");
    opened = await link?.(address ?? "");
    const { control } = await source.until("listening");
    await source.until("guest");
    await delay(warmUpMs);
    await backMemory(ramBytesOf(guest));
    await delay(quietMs);
    const coresBefore = coreTicks();
    const before = [cpuOf(source.pid), cpuOf(dest.pid)] as const;
    await migrate(`http://${control}/migrations`, {
      ...request,
      to: opened?.address ?? address ?? "",
    });
    const report = await source.until("report");
    assertCompleted(report);
    const cores = coreTicks();
    const ticks = cores.all - coresBefore.all;
    const stolenPercent = ((cores.stolen - coresBefore.stolen) / ticks) * 100;
    return {
      report,
      source: cost(source.pid, before[0]),
      dest: cost(dest.pid, before[1]),
      stolenPercent,
    };
  } finally {
    await Promise.all([source.stop(), dest.stop()]);
    opened?.close();
    rmSync(state, { recursive: true, force: true });
  }
}

/** The results of `runs` runs, one after the other. */
export async function repeat<Result>(runs: number, work: () => Promise<Result>): Promise<Result[]> {
  const all: Result[] = [];
  for (let run = 0; run < runs; run += 1) all.push(await work());
  return all;
}

/** The times of a migration that did not come to its end are no figures. */
function assertCompleted({ outcome, failure, guest, destination }: Report): void {
  if (outcome === "completed") return;
  const why = failure?.text ?? "no reason was given";
  throw new Error(`the migration of ${guest} to ${destination} ended as ${outcome}: ${why}`);
}

function ramBytesOf(guest: readonly string[]): number {
  return parseSize(guest[guest.indexOf("--memory") + 1] ?? "") ?? 0;
}

async function migrate(url: string, wish: MigrateRequest): Promise<void> {
  const { isAgreed, body } = await post(url, wish);
  if (!isAgreed) throw new Error(`${url}: ${body}`);
}

export type HostProcess = ReturnType<typeof start>;

/** A host in a process of its own, told by its events. */
export function start(argv: readonly string[]) {
  const child = spawnNode([CLI, ...argv, "--json"]);
  child.stdin.end();
  const events: HostEvent[] = [];
  let wake: (() => void) | undefined;
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line) as HostEvent);
    wake?.();
  });
  const exited = once(child, "exit");
  void exited.then(() => wake?.());
  return {
    pid: child.pid ?? 0,
    async until<Name extends HostEvent["event"]>(
      name: Name,
      matches: (event: Extract<HostEvent, { event: Name }>) => boolean = () => true,
    ): Promise<Extract<HostEvent, { event: Name }>> {
      for (;;) {
        const found = events.find(
          (event): event is Extract<HostEvent, { event: Name }> =>
            event.event === name && matches(event as Extract<HostEvent, { event: Name }>),
        );
        if (found !== undefined) return found;
        if (hasExited(child)) throw new Error(`${argv.join(" ")} ended without "${name}"`);
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    async stop(): Promise<void> {
      if (!hasExited(child)) child.kill("SIGKILL");
      await exited;
    },
  };
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** What a process has had of the processors until now. */
interface Cpu {
  readonly seconds: number;
  /** By thread id. */
  readonly threads: ReadonlyMap<string, { readonly name: string; readonly seconds: number }>;
}

function cpuOf(pid: number): Cpu {
  const process = `/proc/${String(pid)}`;
  const stat = readFileSync(`${process}/stat`, "utf8");
  // The fields after the name, which stands in parentheses; utime and stime are the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  const threads = readdirSync(`${process}/task`).flatMap((id) => threadCpu(process, id, pid));
  return { seconds, threads: new Map(threads) };
}

function threadCpu(process: string, id: string, pid: number) {
  try {
    const comm = readFileSync(`${process}/task/${id}/comm`, "utf8").trim();
    const [nanoseconds] = readFileSync(`${process}/task/${id}/schedstat`, "utf8").split(" ");
    const isNamed = /^(bulk-\d+|urgent|vcpu-\d+|identity)$/.test(comm);
    const name = id === String(pid) ? "main" : isNamed ? comm : "rest";
    return [[id, { name, seconds: Number(nanoseconds) / 1e9 }] as const];
  } catch {
    return []; // It has ended meanwhile.
  }
}

function cost(pid: number, before: Cpu): Cost {
  const after = cpuOf(pid);
  const threadSeconds = new Map<string, number>();
  for (const [id, { name, seconds }] of after.threads) {
    const spent = seconds - (before.threads.get(id)?.seconds ?? 0);
    threadSeconds.set(name, (threadSeconds.get(name) ?? 0) + spent);
  }
  const cpuSeconds = after.seconds - before.seconds;
  return { cpuSeconds, threadSeconds, ...memoryOf(pid) };
}

/** Of all cores since the machine started. */
function coreTicks(): { readonly all: number; readonly stolen: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two.
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, count) => sum + count, 0), stolen: ticks[7] ?? 0 };
}
