import { z } from "zod";
import { type MessageName, MESSAGES } from "../src/protocol/messages.js";

/**
 * The body of a message as data: what zod writes as JSON Schema for our messages, and `bytes`, which
 * messages.ts adds to it. The protocol document and the arbitraries of the tests are made from it.
 */
export type BodyShape =
  | ObjectShape
  | {
      readonly type: "array";
      readonly items: BodyShape | false;
      readonly prefixItems?: readonly BodyShape[];
      readonly minItems?: number;
      readonly maxItems?: number;
    }
  | TextShape
  | { readonly type: "bytes"; readonly minLength: number; readonly maxLength: number }
  | {
      readonly type: "integer" | "number";
      readonly minimum?: number;
      readonly maximum?: number;
    }
  | { readonly type: "null" | "boolean" }
  | { readonly anyOf: readonly BodyShape[] };

export interface TextShape {
  readonly type: "string";
  readonly enum?: readonly string[];
  readonly const?: string;
  /** A moment: ISO 8601, UTC. */
  readonly format?: "date-time";
  readonly minLength?: number;
  readonly maxLength?: number;
}

export interface ObjectShape {
  readonly type: "object";
  /** The fields, all of them required; absent where the keys are free. */
  readonly properties?: Readonly<Record<string, BodyShape>>;
  /** Where the keys are free: what they look like, and their values. */
  readonly additionalProperties: BodyShape | false;
  readonly propertyNames?: TextShape;
}

export function bodyShape(name: MessageName): ObjectShape {
  const schema = z.toJSONSchema(MESSAGES[name].body, { unrepresentable: "any" });
  return JSON.parse(JSON.stringify(schema), separateTypes) as ObjectShape;
}

/** A nullable number comes as a list of types; one way to write alternatives is enough. */
function separateTypes(_key: string, value: unknown): unknown {
  const { type } = (value ?? {}) as { type?: unknown };
  return Array.isArray(type) ? { anyOf: type.map((it: unknown) => ({ type: it })) } : value;
}

export const MESSAGE_NAMES = Object.keys(MESSAGES) as readonly MessageName[];
