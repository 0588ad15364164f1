/**
 * Rows of cells as lines, each column as wide as the widest of its cells. Words begin at the left; where
 * `isNumber` holds, cells end at the right.
 */
export function columns(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean = () => false,
): string[] {
  const widthOf = (column: number) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0));
  return rows.map((cells) => {
    const padded = cells.map((cell, column) =>
      isNumber(column) ? cell.padStart(widthOf(column)) : cell.padEnd(widthOf(column)),
    );
    return `  ${padded.join("  ")}`.trimEnd();
  });
}
