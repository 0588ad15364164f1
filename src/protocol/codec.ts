import { Packr } from "msgpackr";
import { MigrationError } from "../failure.js";
import { encodeFrame, type Frame } from "./frame.js";
import {
  type Message,
  type MessageBody,
  type MessageName,
  MESSAGES,
  type Sender,
  type WirePhase,
} from "./messages.js";
import { plainDataProblem } from "./plain.js";

/** Maps become objects. Extensions never reach it: see plain.ts. */
const packr = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: false });

const NAMES = new Map<number, MessageName>(
  Object.entries(MESSAGES).map(([name, { id }]) => [id, name as MessageName]),
);

/** One frame with the message. The caller's body was made by us, so it is not validated. */
export function encodeMessage<Name extends MessageName>(
  name: Name,
  body: MessageBody<Name>,
  sequence: number,
): Uint8Array<ArrayBuffer> {
  return encodeFrame(MESSAGES[name].id, sequence, packr.pack(body));
}

/**
 * The message in `frame`, checked in this order: id, sender, phase, flags, body. Throws FRAME_UNKNOWN,
 * MESSAGE_UNEXPECTED or MESSAGE_MALFORMED. `phase` is where the receiver stands.
 */
export function decodeMessage(frame: Frame, sender: Sender, phase: WirePhase): Message {
  const name = NAMES.get(frame.type);
  if (name === undefined) throw new MigrationError({ code: "FRAME_UNKNOWN", type: frame.type });
  const spec = MESSAGES[name];
  const fromThem = spec.sender === "both" || spec.sender === sender;
  if (!fromThem || !(spec.phases as readonly WirePhase[]).includes(phase)) {
    throw new MigrationError({ code: "MESSAGE_UNEXPECTED", message: name, phase });
  }
  if (frame.flags !== 0) throw malformedMessage(name, "its flags are set");
  const parsed = spec.body.safeParse(unpack(name, frame.body));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join(".") ?? "";
    throw malformedMessage(
      name,
      `${where === "" ? "body" : where}: ${issue?.message ?? "invalid"}`,
    );
  }
  return { name, body: parsed.data } as Message;
}

function unpack(name: MessageName, body: Uint8Array): unknown {
  const problem = plainDataProblem(body);
  if (problem !== undefined) throw malformedMessage(name, problem);
  try {
    return packr.unpack(body);
  } catch (error) {
    throw malformedMessage(name, `not MessagePack (${String(error)})`);
  }
}

function malformedMessage(message: string, detail: string): MigrationError {
  return new MigrationError({ code: "MESSAGE_MALFORMED", message, detail });
}

/** CPU state as it travels in `switchover`. */
export function packCpu(cpu: object): Uint8Array<ArrayBuffer> {
  return new Uint8Array(packr.pack(cpu));
}

/** The inverse of `packCpu`. Throws MESSAGE_MALFORMED when it is not a state. */
export function unpackCpu(bytes: Uint8Array): object {
  const cpu = unpack("switchover", bytes);
  if (typeof cpu === "object" && cpu !== null) return cpu;
  throw malformedMessage("switchover", "a CPU state is not a map");
}
