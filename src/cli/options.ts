import type { Options } from "yargs";
import { ASK_MS } from "../host/service.js";

/** An option with a value. It is read as text, so that its reader can say what is wrong with it. */
export function valued(describe: string): Options {
  return { type: "string", requiresArg: true, describe };
}

/** An option without a value. */
export function flag(describe: string): Options {
  return { type: "boolean", describe };
}

/** As the reader of options that wait takes it. */
export function seconds(ms: number): string {
  return `${String(ms / 1000)}s`;
}

export const JSON_OPTION = {
  json: flag("Print events as lines of JSON on stdout, and nothing else"),
};

export const TOKEN_OPTION = {
  "token-file": valued("File with the secret that both sides share"),
};

/** What both kinds of host take. */
export const HOST_OPTIONS = {
  control: valued("HOST:PORT for control requests [127.0.0.1:0]"),
  ...TOKEN_OPTION,
  insecure: flag("Accept anyone on an address that other machines can reach"),
  "state-dir": valued("Where the ownership journal is kept [under $XDG_STATE_HOME/tristage]"),
  "ask-for": valued(`Time to ask who owns a guest that is in doubt, as 1min [${seconds(ASK_MS)}]`),
  once: flag("Leave when the first migration has ended; guests here end with it"),
  ...JSON_OPTION,
  verbose: flag("Log on stderr what goes on inside"),
};

export const LISTEN_OPTION = {
  listen: valued("HOST:PORT where guests arrive; port 0 picks a free one"),
};
