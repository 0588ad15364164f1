import { styleText } from "node:util";
import type { WriteStream } from "node:tty";

type Format = Parameters<typeof styleText>[0];

/** Colours a text, or leaves it alone. */
export type Style = (format: Format, text: string) => string;

/** For files, pipes, and terminals whose owner wants no colour. */
export const plainStyle: Style = (_format, text) => text;

const colours: Style = (format, text) => styleText(format, text, { validateStream: false });

/** Colour where `stream` is a terminal that shows it; `NO_COLOR` and `TERM=dumb` are obeyed. */
export function styleFor(stream: Pick<WriteStream, "isTTY" | "hasColors">): Style {
  return stream.isTTY && stream.hasColors() ? colours : plainStyle;
}
