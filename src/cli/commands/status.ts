import { setTimeout as delay } from "node:timers/promises";
import { failureOf } from "../../failure.js";
import { listDirectory } from "../../host/directory.js";
import type { ErrorEvent, HostStatus } from "../../host/events.js";
import { parseAddress, type Address } from "../../transport/address.js";
import { ControlClient } from "../control-client.js";
import { errorEvent } from "../error-event.js";
import { EXIT } from "../exit-codes.js";
import { JSON_OPTION, TOKEN_OPTION, valued } from "../options.js";
import { sentenceOf } from "../show/sentences.js";
import { statusScreen } from "../show/status-screen.js";
import { styleFor } from "../show/style.js";
import type { Command } from "./command.js";

const WATCH_INTERVAL_MS = 1000;

/** What a host says of itself, or why it says nothing. */
type Answer = (HostStatus & { readonly event: "status" }) | ErrorEvent;

export const status: Command = {
  options: {
    from: valued("HOST:PORT for control of one host [all of yours on this machine]"),
    watch: { type: "boolean", describe: "Show it again every second" },
    ...TOKEN_OPTION,
    ...JSON_OPTION,
  },

  async run(args) {
    const from = args.peerAddress("from");
    const token = args.token("token-file");
    const watch = args.flag("watch");
    const show = args.flag("json")
      ? showJson
      : watch && process.stdout.isTTY
        ? await showOver()
        : showOnce;
    const unread = new AbortController();
    process.stdout.once("error", () => {
      unread.abort();
    });
    for (;;) {
      if (from !== undefined && !watch) show([await statusOf(from, token)]);
      else {
        const hosts = from === undefined ? await localHosts() : [from];
        show(await Promise.all(hosts.map((host) => ask(host, token))));
      }
      if (!watch) return EXIT.DONE;
      await delay(WATCH_INTERVAL_MS, undefined, { signal: unread.signal }).catch(() => undefined);
      if (unread.signal.aborted) return EXIT.DONE;
    }
  },
};

async function localHosts(): Promise<Address[]> {
  const entries = await listDirectory();
  return entries.flatMap(({ control }) => parseAddress(control) ?? []);
}

async function statusOf(host: Address, token: string | null): Promise<Answer> {
  return { event: "status", ...(await new ControlClient(host, token).status()) };
}

/** A host that does not answer is shown among those that do. */
async function ask(host: Address, token: string | null): Promise<Answer> {
  try {
    return await statusOf(host, token);
  } catch (error) {
    return errorEvent(failureOf(error));
  }
}

function showJson(answers: readonly Answer[]): void {
  for (const answer of answers) process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function showOnce(answers: readonly Answer[]): void {
  process.stdout.write(`${screenOf(answers)}\n`);
}

async function showOver(): Promise<(answers: readonly Answer[]) => void> {
  const { createLogUpdate } = await import("log-update");
  const draw = createLogUpdate(process.stdout, { showCursor: true });
  return (answers) => {
    draw(screenOf(answers));
  };
}

function screenOf(answers: readonly Answer[]): string {
  if (answers.length === 0) {
    return "no host of yours runs on this machine; tristage dest or tristage source starts one";
  }
  const style = styleFor(process.stdout);
  return answers
    .map((answer) =>
      answer.event === "error" ? [style("red", sentenceOf(answer))] : statusScreen(answer, style),
    )
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}
