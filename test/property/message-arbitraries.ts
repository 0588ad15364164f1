import fc from "fast-check";
import { type BodyShape, bodyShape, MESSAGE_NAMES } from "../../scripts/body-shape.js";
import type { Message, MessageBody, MessageName } from "../../src/protocol/messages.js";

/** Long enough to meet every length prefix of MessagePack but the 32-bit ones. */
const LONGEST = 300;
const MOST_ITEMS = 5;
/** What ISO 8601 writes with four digits. */
const YEARS = { min: new Date("0000-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z") };

/** Any body that a message of this name may have, derived from the table of messages. */
export const bodies = Object.fromEntries(
  MESSAGE_NAMES.map((name) => [name, arbitrary(bodyShape(name))]),
) as { readonly [Name in MessageName]: fc.Arbitrary<MessageBody<Name>> };

/** Any message at all. */
export const message: fc.Arbitrary<Message> = fc
  .constantFrom(...MESSAGE_NAMES)
  .chain((name) =>
    (bodies[name] as fc.Arbitrary<object>).map((body) => ({ name, body }) as Message),
  );

function arbitrary(shape: BodyShape): fc.Arbitrary<unknown> {
  if ("anyOf" in shape) return fc.oneof(...shape.anyOf.map(arbitrary));
  switch (shape.type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.maxSafeInteger().map((it) => clamp(it, shape.minimum, shape.maximum));
    case "number":
      // The library writes -0 as 0; nothing that a message holds knows the difference.
      return fc
        .double({ noNaN: true, noDefaultInfinity: true, min: shape.minimum ?? -Number.MAX_VALUE })
        .map((it) => it + 0);
    case "bytes": {
      const { minLength, maxLength } = shape;
      return fc.uint8Array({ minLength, maxLength: Math.min(maxLength, LONGEST) });
    }
    case "string":
      if (shape.const !== undefined) return fc.constant(shape.const);
      if (shape.enum !== undefined) return fc.constantFrom(...shape.enum);
      if (shape.format !== undefined) {
        return fc.date({ noInvalidDate: true, ...YEARS }).map((it) => it.toISOString());
      }
      return text(shape.minLength ?? 0, Math.min(shape.maxLength ?? LONGEST, LONGEST));
    case "array": {
      if (shape.prefixItems !== undefined) return fc.tuple(...shape.prefixItems.map(arbitrary));
      if (shape.items === false) throw new Error("a list of nothing");
      const { minItems = 0, maxItems = MOST_ITEMS } = shape;
      return fc.array(arbitrary(shape.items), {
        minLength: minItems,
        maxLength: Math.min(maxItems, MOST_ITEMS),
      });
    }
    case "object": {
      const { properties, propertyNames, additionalProperties } = shape;
      if (properties !== undefined) {
        const fields = Object.entries(properties).map(([key, it]) => [key, arbitrary(it)] as const);
        return fc.record(Object.fromEntries(fields), { noNullPrototype: true });
      }
      if (propertyNames === undefined || additionalProperties === false) {
        throw new Error("a map of nothing");
      }
      // The library renames this one key, so that it can do no harm.
      const key = text(0, propertyNames.maxLength ?? LONGEST).filter((it) => it !== "__proto__");
      return fc.dictionary(key, arbitrary(additionalProperties), {
        maxKeys: MOST_ITEMS,
        noNullPrototype: true,
      });
    }
  }
}

function clamp(value: number, minimum = -Infinity, maximum = Infinity): number {
  return Math.min(Math.max(value, minimum), maximum);
}

/** Well-formed text of `minLength` to `maxLength` UTF-16 units. */
function text(minLength: number, maxLength: number): fc.Arbitrary<string> {
  const ascii = fc.string({ minLength, maxLength });
  if (minLength > 1) return ascii;
  const any = fc.string({ unit: "grapheme", minLength, maxLength });
  return fc.oneof(
    ascii,
    any.filter((it) => it.length <= maxLength),
  );
}
