import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type {
  EstimateEvent,
  GuestDigest,
  GuestStatus,
  HostEvent,
  HostStatus,
  ListeningEvent,
} from "../../src/host/events.js";
import type { EstimateRequest, MigrateRequest } from "../../src/host/service.js";
import type { Report } from "../../src/protocol/report.js";
import { type Address, formatAddress, parseAddress } from "../../src/transport/address.js";
import { inRepository } from "../repository.js";

/**
 * How long anything here may take. Never reached where all is well; far beyond what a slow machine needs, so
 * that it never decides a test.
 */
export const DEADLINE_MS = 60_000;
/** Between two looks at something that nobody announces. */
const LOOK_MS = 10;

const MAIN = inRepository("dist/src/cli/main.js");

/** Holds everything that the processes of this test file leave on disk. */
const scratch = mkdtempSync(join(tmpdir(), "tristage-test-"));
let folders = 0;

/** A folder of its own that is gone after the tests. */
export function freshFolder(): string {
  folders += 1;
  return join(scratch, String(folders));
}

/** A file of that name and content, gone after the tests. */
export function freshFile(name: string, content: string): string {
  const folder = freshFolder();
  mkdirSync(folder);
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const alive = new Set<ChildProcessByStdio<null, Readable, Readable>>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});
// Without a listener a signal ends the process and its children outlive it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A tristage process, whatever its command. */
export class Tristage implements AsyncDisposable {
  /** Everything that it printed on stdout. */
  readonly lines: string[] = [];
  stderr = "";
  readonly exit: Promise<Exit>;
  private readonly watchers = new Set<() => void>();
  private ended = false;

  private constructor(private readonly child: ChildProcessByStdio<null, Readable, Readable>) {
    alive.add(child);
    child.stderr.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.look();
    });
    createInterface(child.stdout).on("line", (line) => {
      this.lines.push(line);
      this.look();
    });
    this.exit = new Promise((resolve) => {
      // "close" comes after the last of its output, "exit" may come before.
      child.once("close", (code, signal) => {
        alive.delete(child);
        this.ended = true;
        this.look();
        resolve({ code, signal });
      });
    });
  }

  static run(...words: readonly string[]): Tristage {
    return Tristage.runOn([], words);
  }

  /** With options for Node.js itself. */
  static runOn(nodeOptions: readonly string[], words: readonly string[]): Tristage {
    const environment = { XDG_RUNTIME_DIR: scratch, XDG_STATE_HOME: scratch, NO_COLOR: "1" };
    const child = spawn(process.execPath, [...nodeOptions, MAIN, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    return new Tristage(child);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.ended;
  }

  /** Resolves when it has ended by itself; the deadline fails the test. */
  ending(): Promise<Exit> {
    return this.within("ends", this.exit);
  }

  /** Ctrl-C, as a terminal sends it. */
  interrupt(): void {
    this.child.kill("SIGINT");
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    this.child.kill(signal);
    return this.ending();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) this.child.kill("SIGKILL");
    await this.exit;
  }

  /**
   * The first answer of `find` that is not undefined, asked now and after whatever the process prints. Fails with all that
   * the process said when it ends or the deadline passes before.
   */
  until<Found>(what: string, find: () => Found | undefined): Promise<Found> {
    const found = new Promise<Found>((resolve, reject) => {
      const check = () => {
        const answer = find();
        if (answer === undefined && !this.ended) return;
        this.watchers.delete(check);
        if (answer !== undefined) resolve(answer);
        else reject(this.complaint(`ended before ${what}`));
      };
      this.watchers.add(check);
      check();
    });
    return this.within(what, found);
  }

  complaint(problem: string): Error {
    const tail = this.lines.slice(-12).map((line) => line.slice(0, 300));
    const said = [...tail, "on stderr:", this.stderr.slice(-4000)].join("\n  ");
    return new Error(`process ${String(this.pid)} ${problem}; it said:\n  ${said}`);
  }

  private look(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  private within<Result>(what: string, result: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(this.complaint(`did not come to this within the deadline: ${what}`));
      }, DEADLINE_MS);
      result.then(resolve, reject).finally(() => {
        clearTimeout(timer);
      });
    });
  }
}

/** What a control endpoint answered that did not do as it was told. */
class ControlRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
  ) {
    super(`${String(status)} ${code}: ${text}`);
  }
}

export interface DaemonOptions {
  /** The secret that it demands and presents. */
  readonly token?: string;
  readonly nodeOptions?: readonly string[];
  /** Leaves the journal where a host keeps it by itself: it finds one that another left at its address. */
  readonly lasting?: boolean;
}

type EventOf<Name extends HostEvent["event"]> = Extract<HostEvent, { readonly event: Name }>;

/** A host in a process of its own, with `--json`, driven by its events and its control endpoint. */
export class Daemon implements AsyncDisposable {
  readonly events: HostEvent[] = [];
  private parsed = 0;

  private constructor(
    readonly process: Tristage,
    private readonly token: string | undefined,
  ) {}

  /** Resolves when it listens. `words` are a command and its options; the state directory is fresh, unless one is `lasting`. */
  static async start(
    words: readonly string[],
    { token, nodeOptions = [], lasting = false }: DaemonOptions = {},
  ): Promise<Daemon> {
    const isChosen = lasting || words.includes("--state-dir");
    const own = isChosen ? [] : ["--state-dir", freshFolder()];
    const secret = token === undefined ? [] : ["--token-file", freshFile("token", token)];
    const all = [...words, ...own, ...secret, "--json"];
    const daemon = new Daemon(Tristage.runOn(nodeOptions, all), token);
    try {
      await daemon.event("listening");
    } catch (error) {
      await daemon.process[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  static dest(...words: readonly string[]): Promise<Daemon> {
    return Daemon.start(["dest", "--listen", "127.0.0.1:0", ...words]);
  }

  /** Resolves when its guest runs. `guest` is as `kv mix=A theta=0.5`. */
  static async source(guest: string, ...words: readonly string[]): Promise<Daemon> {
    const [name = "", ...settings] = guest.split(" ");
    const set = settings.flatMap((setting) => ["--set", setting]);
    const daemon = await Daemon.start(["source", "--guest", name, ...set, ...words]);
    await daemon.event("guest", ({ state }) => state === "running");
    return daemon;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }

  get listening(): ListeningEvent {
    const [first] = this.of("listening");
    if (first === undefined) throw this.process.complaint("does not listen");
    return first;
  }

  /** HOST:PORT where guests arrive. */
  get address(): string {
    return this.listening.address ?? "";
  }

  get target(): Address {
    return parseAddress(this.address)!;
  }

  /** The events of one kind until now. */
  of<Name extends HostEvent["event"]>(name: Name): EventOf<Name>[] {
    while (this.parsed < this.process.lines.length) {
      this.events.push(JSON.parse(this.process.lines[this.parsed]!) as HostEvent);
      this.parsed += 1;
    }
    return this.events.filter((event): event is EventOf<Name> => event.event === name);
  }

  /** The first event of that kind that `matches`, of those that came and those to come. */
  event<Name extends HostEvent["event"]>(
    name: Name,
    matches: (event: EventOf<Name>) => boolean = () => true,
  ): Promise<EventOf<Name>> {
    return this.process.until(`a ${name} event where ${String(matches)}`, () =>
      this.of(name).find(matches),
    );
  }

  /** Resolves when a migration enters `phase`; any migration here unless one is named. */
  phase(phase: string, migrationId?: string): Promise<EventOf<"phase">> {
    return this.process.until(`a migration in phase ${phase}`, () =>
      this.of("phase").find(
        (event) =>
          event.phase === phase && (migrationId ?? event.migrationId) === event.migrationId,
      ),
    );
  }

  /** The phases of a migration until now, in order. */
  phases(migrationId: string): string[] {
    return this.of("phase")
      .filter((event) => event.migrationId === migrationId)
      .map(({ phase }) => phase);
  }

  report(migrationId: string): Promise<Report> {
    return this.process.until("a report", () =>
      this.of("report").find((report) => report.migrationId === migrationId),
    );
  }

  async status(): Promise<HostStatus> {
    return (await this.call("GET", "/status")) as HostStatus;
  }

  /** The guest here; of several, the one that came last. */
  async guest(): Promise<GuestStatus> {
    const guest = (await this.status()).guests.at(-1);
    if (guest === undefined) throw this.process.complaint("has no guest");
    return guest;
  }

  /** Looks at the guest here again and again until it `matches`. */
  async guestWhere(matches: (guest: GuestStatus) => boolean): Promise<GuestStatus> {
    return this.look(`a guest where ${String(matches)}`, async () => {
      const guest = await this.guest();
      return matches(guest) ? guest : undefined;
    });
  }

  /** Resolves when the system has given the process less than `byteCount` bytes of memory. Linux only. */
  async memoryBelow(byteCount: number): Promise<void> {
    const path = `/proc/${String(this.process.pid)}/status`;
    await this.look(`less than ${String(byteCount)} bytes of memory`, async () => {
      const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(path, "utf8")) ?? [];
      return Number(kib) * 1024 < byteCount ? kib : undefined;
    });
  }

  /** The first answer that is not undefined; asks again and again, for what nobody announces. */
  private async look<Found>(what: string, find: () => Promise<Found | undefined>): Promise<Found> {
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      const found = await find();
      if (found !== undefined) return found;
      if (deadline.aborted) throw this.process.complaint(`does not have ${what}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Resolves when the guest here has done `operations` more than it has now. */
  async progress(operations: number): Promise<GuestStatus> {
    const before = await this.guest();
    return this.guestWhere((guest) => guest.operations >= before.operations + operations);
  }

  /** Starts a migration and returns its id. */
  async migrate(to: Daemon | Address, options: Omit<MigrateRequest, "to"> = {}): Promise<string> {
    const address = to instanceof Daemon ? to.address : formatAddress(to);
    const guestId = (await this.status()).guests.at(-1)?.guestId;
    const body = { to: address, guestId, ...options };
    const { migrationId } = (await this.call("POST", "/migrations", body)) as {
      migrationId: string;
    };
    return migrationId;
  }

  /** Migrates and waits for the report. */
  async move(to: Daemon | Address, options: Omit<MigrateRequest, "to"> = {}): Promise<Report> {
    return this.report(await this.migrate(to, options));
  }

  async estimate(to: Daemon, options: Omit<EstimateRequest, "to"> = {}): Promise<EstimateEvent> {
    return (await this.call("POST", "/estimates", { to: to.address, ...options })) as EstimateEvent;
  }

  async cancel(migrationId: string): Promise<void> {
    await this.call("DELETE", `/migrations/${migrationId}`);
  }

  async pause(): Promise<void> {
    const { guestId } = await this.guest();
    await this.call("POST", `/guests/${guestId}/pause`);
  }

  async resume(): Promise<void> {
    const { guestId } = await this.guest();
    await this.call("POST", `/guests/${guestId}/resume`);
  }

  /** What the command line answers that is told to do `command` with the guest here. */
  async order(command: string, ...words: readonly string[]): Promise<Exit & { said: string }> {
    const line = Tristage.run(command, "--from", this.listening.control, ...words);
    return { ...(await line.ending()), said: `${line.lines.join("\n")}${line.stderr}` };
  }

  /** Ends every guest here, so that none takes a core from the tests that follow. */
  async clear(): Promise<void> {
    for (const { guestId, state } of (await this.status()).guests) {
      if (state === "running") await this.call("POST", `/guests/${guestId}/pause`);
      await this.call("DELETE", `/guests/${guestId}?force=true`);
    }
  }

  async digest(): Promise<GuestDigest> {
    const { guestId } = await this.guest();
    return (await this.call("GET", `/guests/${guestId}/digest`)) as GuestDigest;
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    return this.process.kill(signal);
  }

  private async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const { host, port } = parseAddress(this.listening.control)!;
    const sent = request({
      ...{ host, port, method, path, agent: false, signal: AbortSignal.timeout(DEADLINE_MS) },
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
      },
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    const answer = await text(response);
    const value: unknown = answer === "" ? undefined : JSON.parse(answer);
    const status = response.statusCode ?? 0;
    if (status < 300) return value;
    const { code, text: why } = value as { code: string; text: string };
    throw new ControlRefusal(status, code, why);
  }
}
