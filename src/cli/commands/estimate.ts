import { DEFAULT_ESTIMATE_MS, MAX_ESTIMATE_MS } from "../../host/service.js";
import { ControlClient } from "../control-client.js";
import { EXIT } from "../exit-codes.js";
import { JSON_OPTION, seconds, TOKEN_OPTION, valued } from "../options.js";
import { readRoute, ROUTE_OPTIONS } from "../route.js";
import { estimateScreen } from "../show/estimate-screen.js";
import { styleFor } from "../show/style.js";
import type { Command } from "./command.js";

export const estimate: Command = {
  options: {
    ...ROUTE_OPTIONS,
    "max-bandwidth": valued("Limit that the migration would have, as 1Gbit or 50MB/s"),
    for: valued(`Time to watch the guest, as 500ms or 10s [${seconds(DEFAULT_ESTIMATE_MS)}]`),
    ...TOKEN_OPTION,
    ...JSON_OPTION,
  },

  async run(args) {
    const { from, route } = readRoute(args);
    const request = {
      ...route,
      maxBandwidth: args.rate("max-bandwidth"),
      durationMs: args.wait("for", MAX_ESTIMATE_MS) ?? DEFAULT_ESTIMATE_MS,
    };
    const found = await new ControlClient(from, args.token("token-file")).estimate(request);
    const lines = args.flag("json")
      ? [JSON.stringify(found)]
      : estimateScreen(found, styleFor(process.stdout));
    process.stdout.write(`${lines.join("\n")}\n`);
    return EXIT.DONE;
  },
};
