/** Markdown from tables and from the comments of TypeScript files. */

export function code(text: string): string {
  return `\`${text}\``;
}

/** A table; its columns are aligned by `alignTables` in the end. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** Pads the cells of every table of `markdown`, as the formatter wants them. */
export function alignTables(markdown: string): string {
  return markdown.replaceAll(/^\|.*\|(?:\n\|.*\|)+$/gm, alignTable);
}

function alignTable(text: string): string {
  const rows = text.split("\n").map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (isRule(row[column]) ? 3 : (row[column]?.length ?? 0)))),
  );
  const lines = rows.map((row) => {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? "";
      return isRule(cell) ? "-".repeat(width) : cell.padEnd(width);
    });
    return `| ${cells.join(" | ")} |`;
  });
  return lines.join("\n");
}

function isRule(cell: string | undefined): boolean {
  return cell !== undefined && /^-+$/.test(cell);
}

/** The text of a doc comment, without its frame. */
function textOf(comment: string): string {
  return comment
    .replace(/^\s*\/\*\*/, "")
    .replace(/\*\/\s*$/, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
    .join("\n")
    .trim();
}

const COMMENT = String.raw`\/\*\*(?:(?!\*\/)[^])*\*\/`;

/** The doc comment directly above `export … name`. Throws when there is none. */
export function commentAbove(source: string, name: string): string {
  const found = new RegExp(`(${COMMENT})\\nexport \\w+ ${name}\\b`).exec(source);
  if (found === null) throw new Error(`${name} has no comment`);
  return textOf(found[1] ?? "");
}

/** The file's first doc comment, which must end before `export … name` begins. */
export function introOf(source: string, name: string): string {
  const found = new RegExp(COMMENT).exec(source.slice(0, source.search(`export \\w+ ${name}\\b`)));
  if (found === null) throw new Error(`nothing is said above ${name}`);
  return textOf(found[0]);
}

/** The members of the union of strings `name`, each with its comment on one line. */
export function commentsIn(source: string, name: string): [member: string, text: string][] {
  const union = new RegExp(`export type ${name} =([^]*?");\\n`).exec(source)?.[1] ?? "";
  const members = [...union.matchAll(new RegExp(`(${COMMENT})\\s*\\| "(\\w+)"`, "g"))];
  if (members.length !== (union.match(/\| "/g) ?? []).length) {
    throw new Error(`a member of ${name} has no comment`);
  }
  return members.map(([, comment = "", member = ""]) => [
    member,
    textOf(comment).replaceAll("\n", " "),
  ]);
}
