import fc from "fast-check";

/** Where to cut a stream; each place is taken modulo the stream's length. */
export const cuts = fc.array(fc.nat(), { maxLength: 12 });

/** `stream` in pieces, some of them perhaps empty. */
export function* cutAt(stream: Uint8Array, places: readonly number[]): Generator<Uint8Array> {
  const within = places.map((place) => place % (stream.byteLength + 1));
  let from = 0;
  for (const to of [...within.sort((a, b) => a - b), stream.byteLength]) {
    yield stream.subarray(from, to);
    from = to;
  }
}
