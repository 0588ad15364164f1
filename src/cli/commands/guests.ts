import type { GuestProgram } from "../../guest/program.js";
import { BUILTIN_PROGRAMS } from "../../guest/programs/builtin.js";
import { EXIT } from "../exit-codes.js";
import type { Command } from "./command.js";

export const guests: Command = {
  options: {},
  run() {
    process.stdout.write(`${BUILTIN_PROGRAMS.map(describeProgram).join("\n")}\n`);
    process.stdout.write("A path to a module that exports a guest program works as well.\n");
    return Promise.resolve(EXIT.DONE);
  },
};

function describeProgram({ name, summary, settings }: GuestProgram): string {
  const rows = Object.entries(settings).map(
    ([key, setting]) => `    --set ${`${key}=${setting.default}`.padEnd(22)} ${setting.summary}\n`,
  );
  return `${name}: ${summary}\n${rows.join("")}`;
}
