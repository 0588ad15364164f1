import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { DATA_PLANE } from "./data-plane.js";
import { type Bench, Figures } from "./figures.js";
import { TRACKING } from "./tracking.js";

const BENCHES: Readonly<Record<string, Bench>> = { "data-plane": DATA_PLANE, tracking: TRACKING };
const PARTS = Object.values(BENCHES).flatMap((bench) => Object.keys(bench));

const { _: names, ...options } = await yargs(hideBin(process.argv))
  .usage("npm run bench -- [data-plane | tracking] [--only PART]… [--runs N] [--json]")
  .option("only", { type: "string", array: true, choices: PARTS, describe: "these parts of it" })
  .option("runs", { type: "number", default: 5, describe: "runs of each row" })
  .option("json", { type: "boolean", default: false, describe: "a line of JSON for each figure" })
  .strictOptions()
  .parse();

const wanted = names.length > 0 ? names.map(String) : Object.keys(BENCHES);
for (const name of wanted) {
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
  if (bench === undefined) {
    console.error(`there is no benchmark "${name}"; choose ${Object.keys(BENCHES).join(" or ")}`);
    process.exit(2);
  }
  const figures = new Figures(name, options.json);
  for (const [part, measure] of Object.entries(bench)) {
    if (options.only?.includes(part) === false) continue;
    await measure(figures, options.runs);
  }
}
