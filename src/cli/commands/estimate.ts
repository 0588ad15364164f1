import { MAX_ESTIMATE_MS } from "../../host/service.js";
import { type Arguments, usage } from "../arguments.js";
import { ControlClient } from "../control-client.js";
import { EXIT } from "../exit-codes.js";
import { JSON_OPTION, TOKEN_OPTION, valued } from "../options.js";
import { readRoute, ROUTE_OPTIONS } from "../route.js";
import { estimateScreen } from "../show/estimate-screen.js";
import { styleFor } from "../show/style.js";
import type { Command } from "./command.js";

const DEFAULT_SECONDS = 2;

export const estimate: Command = {
  summary: "Predict what a migration would cost, without making one",
  options: {
    ...ROUTE_OPTIONS,
    "max-bandwidth": valued("Limit that the migration would have, as 1Gbit or 50MB/s"),
    for: valued(`Time to watch the guest, as 2s or 500ms [${String(DEFAULT_SECONDS)}s]`),
    ...TOKEN_OPTION,
    ...JSON_OPTION,
  },

  async run(args) {
    const { from, route } = readRoute(args);
    const request = {
      ...route,
      maxBandwidth: args.rate("max-bandwidth"),
      durationMs: readDuration(args),
    };
    const found = await new ControlClient(from, args.token("token-file")).estimate(request);
    const lines = args.flag("json")
      ? [JSON.stringify(found)]
      : estimateScreen(found, styleFor(process.stdout));
    process.stdout.write(`${lines.join("\n")}\n`);
    return EXIT.DONE;
  },
};

/** Milliseconds; a bare number is seconds, as elsewhere. */
function readDuration(args: Arguments): number {
  const text = args.text("for");
  if (text === undefined) return DEFAULT_SECONDS * 1000;
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s)?$/.exec(text) ?? [];
  const ms = digits === undefined ? Number.NaN : Number(digits) * (unit === "ms" ? 1 : 1000);
  if (ms <= MAX_ESTIMATE_MS) return ms;
  throw usage(
    `--for "${text}" is not a time up to ${String(MAX_ESTIMATE_MS / 1000)}s, as in 2s or 500ms`,
  );
}
