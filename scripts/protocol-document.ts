import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HEADER_BYTES } from "../src/protocol/frame.js";
import * as limits from "../src/protocol/limits.js";
import { MESSAGES } from "../src/protocol/messages.js";
import { FRAME_TYPES, PURPOSE, RUN_KIND } from "../src/protocol/pages.js";
import { OLDEST_VERSION, PROTOCOL_VERSION } from "../src/protocol/version.js";
import { type BodyShape, bodyShape, MESSAGE_NAMES } from "./body-shape.js";
import { alignTables, code, commentAbove, commentsIn, introOf, table } from "./markdown.js";

/**
 * Writes PROTOCOL.md from the code: the tables of src/protocol, and the comments that stand there. Nothing
 * about the protocol is said here that the code knows.
 */

const root = new URL("../../", import.meta.url);
const PATH = fileURLToPath(new URL("PROTOCOL.md", root));

function source(file: string): string {
  return readFileSync(new URL(`src/protocol/${file}`, root), "utf8");
}

/** The whole of PROTOCOL.md; reads the comments of src/protocol, writes nothing. */
export function protocolDocument(): string {
  const sections = [
    "# The tristage protocol",
    "Generated from `src/protocol` by `npm run docs`; change it there. The words of the design (page, pass,\n" +
      "switchover, generation …) are explained in [ARCHITECTURE.md](ARCHITECTURE.md).",
    ...versions(),
    ...course(),
    ...frames(),
    ...messages(),
    ...dataFrames(),
    ...limitTable(),
  ];
  return `${alignTables(sections.join("\n\n"))}\n`;
}

function versions(): string[] {
  return [
    "## Versions",
    commentAbove(source("version.ts"), "PROTOCOL_VERSION"),
    `This is version ${String(PROTOCOL_VERSION)}; the oldest accepted is version ${String(OLDEST_VERSION)}. ` +
      "A first message of any other version is\nanswered by `failed`. `test/golden` holds the bytes of every " +
      "frame, so that none changes unnoticed.",
  ];
}

function course(): string[] {
  const [, ...rest] = introOf(source("messages.ts"), "Sender").split("\n\n");
  return ["## The course of a migration", ...rest];
}

function frames(): string[] {
  return ["## Frames", commentAbove(source("frame.ts"), "HEADER_BYTES")];
}

function messages(): string[] {
  const overview = MESSAGE_NAMES.map((name) => {
    const { id, sender, phases, summary } = MESSAGES[name];
    return [code(hex(id)), code(name), sender, phases.join(", "), summary];
  });
  return [
    "## Control messages",
    "The body of a control message is one MessagePack map with exactly the fields below. It holds plain data:\n" +
      "no extension types but the one for `undefined`, and maps and arrays at most " +
      `${String(limits.MAX_NESTING)} deep.`,
    "A receiver checks, in this order: magic, type 0, reserved bits, length, sequence; then id, sender,\n" +
      "phase, flags, body. What fails a check ends the connection.",
    table(["id", "message", "sender", "receiver's phases", "meaning"], overview),
    "The phases are where the receiver stands:",
    table(
      ["phase", "meaning"],
      commentsIn(source("messages.ts"), "WirePhase").map(([name, text]) => [code(name), text]),
    ),
    ...MESSAGE_NAMES.flatMap((name) => {
      const fields = fieldsOf(bodyShape(name));
      const body = fields.length === 0 ? "No fields." : table(["field", "type"], fields);
      return [`### ${code(name)}`, body];
    }),
  ];
}

function dataFrames(): string[] {
  const pages = source("pages.ts");
  return [
    "## Data frames",
    commentAbove(pages, "FRAME_TYPES"),
    "Each of these connections begins with `attach`, which is frame 0 of its direction. They are named `bulk-0` and so on, " +
      "`urgent`,\nand `fault-0` and so on for the vCPUs' fault lines.",
    table(
      ["frame", "type"],
      Object.entries(FRAME_TYPES).map(([name, type]) => [code(name), code(hex(type))]),
    ),
    `### Purposes\n\n${commentAbove(pages, "PURPOSE")}`,
    numbered("purpose", PURPOSE),
    `### Kinds of runs\n\n${commentAbove(pages, "RUN_KIND")}`,
    numbered("kind", RUN_KIND),
    `### Deltas\n\n${commentAbove(source("deltas.ts"), "DELTAS_HEAD_BYTES")}`,
  ];
}

function numbered(title: string, values: Readonly<Record<string, number>>): string {
  const rows = Object.entries(values).map(([name, value]) => [code(name), String(value)]);
  return table([title, "number"], rows);
}

function limitTable(): string[] {
  const text = source("limits.ts");
  // A module's names come in alphabetical order; the file's own order says more.
  const place = (name: string) => text.indexOf(`export const ${name} `);
  const rows = Object.entries(limits)
    .sort(([a], [b]) => place(a) - place(b))
    .map(([name, value]) => [
      code(name),
      value.toLocaleString("en"),
      commentAbove(text, name).replaceAll("\n", " "),
    ]);
  return [
    "## Limits",
    introOf(text, "MAX_GREETING_BYTES"),
    table(["limit", "value", "why"], rows),
    `A header has ${String(HEADER_BYTES)} bytes, which these numbers do not count.`,
  ];
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

/** A row for each field; the fields of an object within follow it as `outer.inner`. */
function fieldsOf(shape: BodyShape, path = ""): string[][] {
  if (!("properties" in shape)) return [];
  return Object.entries(shape.properties ?? {}).flatMap(([key, field]) => {
    const name = `${path}${key}`;
    const inner = "anyOf" in field ? field.anyOf : [field];
    return [[code(name), typeOf(field)], ...inner.flatMap((it) => fieldsOf(it, `${name}.`))];
  });
}

function typeOf(shape: BodyShape): string {
  if ("anyOf" in shape) return shape.anyOf.map(typeOf).join(" or ");
  switch (shape.type) {
    case "null":
    case "boolean":
      return shape.type;
    case "integer":
      return `integer${inParentheses(range(shape.minimum, shape.maximum))}`;
    case "number":
      return `number${inParentheses(range(shape.minimum, shape.maximum))}`;
    case "bytes":
      return shape.minLength === shape.maxLength
        ? `${String(shape.maxLength)} bytes`
        : `bytes (at most ${String(shape.maxLength)})`;
    case "string": {
      if (shape.const !== undefined) return code(`"${shape.const}"`);
      if (shape.enum !== undefined) return shape.enum.map((it) => code(`"${it}"`)).join(" or ");
      const { minLength = 0, maxLength } = shape;
      if (minLength === maxLength) return `text (${String(minLength)} characters)`;
      const length = range(minLength === 0 ? undefined : minLength, maxLength);
      return `text${inParentheses(length === "" ? "" : `${length} characters`)}`;
    }
    case "array": {
      if (shape.prefixItems !== undefined) return `[${shape.prefixItems.map(typeOf).join(", ")}]`;
      const { items, minItems, maxItems } = shape;
      const count = inParentheses(range(minItems, maxItems));
      return `list${count} of ${items === false ? "nothing" : typeOf(items)}`;
    }
    case "object": {
      const { properties, propertyNames, additionalProperties } = shape;
      if (properties !== undefined) return "map";
      const key = propertyNames === undefined ? "text" : typeOf(propertyNames);
      const value = additionalProperties === false ? "nothing" : typeOf(additionalProperties);
      return `map from ${key} to ${value}`;
    }
  }
}

/** In words; the ends that any safe integer has go without saying. */
function range(minimum = -Infinity, maximum = Infinity): string {
  const hasLeast = minimum > Number.MIN_SAFE_INTEGER;
  const hasMost = maximum < Number.MAX_SAFE_INTEGER;
  if (hasLeast && hasMost) return `${String(minimum)} to ${String(maximum)}`;
  if (hasLeast) return `at least ${String(minimum)}`;
  return hasMost ? `at most ${String(maximum)}` : "";
}

function inParentheses(text: string): string {
  return text === "" ? "" : ` (${text})`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  writeFileSync(PATH, protocolDocument());
}
