import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { benchDataPlane } from "./data-plane.js";
import { Figures } from "./figures.js";
import { benchTracking } from "./tracking.js";

const BENCHES = { "data-plane": benchDataPlane, tracking: benchTracking } as const;
type BenchName = keyof typeof BENCHES;

const { _: names, ...options } = await yargs(hideBin(process.argv))
  .usage("npm run bench -- [data-plane | tracking] [--runs N] [--json]")
  .option("runs", { type: "number", default: 5, describe: "runs of each row" })
  .option("json", { type: "boolean", default: false, describe: "a line of JSON for each figure" })
  .strictOptions()
  .parse();

const wanted = names.length > 0 ? names.map(String) : Object.keys(BENCHES);
for (const name of wanted) {
  if (!Object.hasOwn(BENCHES, name)) {
    console.error(`there is no benchmark "${name}"; choose ${Object.keys(BENCHES).join(" or ")}`);
    process.exit(2);
  }
  await BENCHES[name as BenchName](new Figures(name, options.json), options.runs);
}
