import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MESSAGE_NAMES } from "../../scripts/body-shape.js";
import { MigrationError } from "../../src/failure.js";
import { decodeMessage, encodeMessage, packCpu, unpackCpu } from "../../src/protocol/codec.js";
import { encodeFrame, type Frame, FrameDecoder } from "../../src/protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../../src/protocol/limits.js";
import {
  type Message,
  type MessageName,
  MESSAGES,
  type Sender,
  type WirePhase,
} from "../../src/protocol/messages.js";
import { FRAME_TYPES } from "../../src/protocol/pages.js";
import { failsWith } from "../failures.js";
import { seed } from "../seed.js";
import { cutAt, cuts } from "./chunks.js";
import { bodies, message } from "./message-arbitraries.js";

const SENDERS: readonly Sender[] = ["source", "dest"];
const PHASES: readonly WirePhase[] = ["greeting", "copying", "switchover", "draining", "observing"];

function encode({ name, body }: Message, sequence = 0): Uint8Array {
  return encodeMessage(name, body as never, sequence);
}

/** The frames of `stream`, of which every byte belongs to one. */
function framesOf(chunks: Iterable<Uint8Array>): Frame[] {
  const decoder = new FrameDecoder(MAX_CONTROL_BYTES);
  const frames: Frame[] = [];
  for (const chunk of chunks) frames.push(...decoder.push(chunk));
  assert.equal(decoder.missingBytes, 0);
  return frames;
}

function frameOf(it: Message): Frame {
  const [frame] = framesOf([encode(it)]);
  return frame!;
}

/** One message of each name. */
const samples: readonly Message[] = MESSAGE_NAMES.map((name) => {
  const arbitrary: fc.Arbitrary<object> = bodies[name];
  const [body] = fc.sample(arbitrary, { numRuns: 1, seed });
  return { name, body } as Message;
});

function senderOf(name: MessageName): Sender {
  const { sender } = MESSAGES[name];
  return sender === "both" ? "dest" : sender;
}

/** Decodes as the receiver for whom the message is meant. */
function decode(name: MessageName, frame: Frame): Message {
  return decodeMessage(frame, senderOf(name), MESSAGES[name].phases[0]);
}

for (const name of MESSAGE_NAMES) {
  test(`message ${name} arrives as it was sent`, () => {
    fc.assert(
      fc.property(bodies[name] as fc.Arbitrary<object>, (body) => {
        const sent = { name, body } as Message;
        assert.deepEqual(decode(name, frameOf(sent)), sent);
      }),
      { numRuns: 50 },
    );
  });
}

test("messages arrive in order, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), cuts, (sent, places) => {
      const stream = Buffer.concat(sent.map(encode));
      const frames = framesOf(cutAt(stream, places));
      assert.deepEqual(
        frames.map((frame, index) => decode(sent[index]!.name, frame)),
        sent,
      );
    }),
  );
});

test("message ids differ from each other and from page frames, and none is 0", () => {
  const ids = [
    ...MESSAGE_NAMES.map((name): number => MESSAGES[name].id),
    ...Object.values(FRAME_TYPES),
  ];
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.ok(id > 0 && id < 256);
});

test("message ids tell the sender: the destination's alone have the high bit", () => {
  for (const name of MESSAGE_NAMES) {
    assert.equal(MESSAGES[name].id >= 0x80, MESSAGES[name].sender === "dest", name);
  }
});

test("a frame of no message's id is refused, 0 and page frames included", () => {
  const known = new Set(MESSAGE_NAMES.map((name): number => MESSAGES[name].id));
  for (let type = 0; type < 256; type += 1) {
    if (known.has(type)) continue;
    const frame = { type, flags: 0, sequence: 0, bodyBytes: 1, body: Uint8Array.of(0x80) };
    for (const sender of SENDERS) {
      for (const phase of PHASES) {
        const failure = failsWith("FRAME_UNKNOWN", () => decodeMessage(frame, sender, phase));
        assert.equal(failure.type, type);
      }
    }
  }
});

test("a message is accepted from its own sender in its own phases and nowhere else", () => {
  for (const sample of samples) {
    const spec = MESSAGES[sample.name];
    const frame = frameOf(sample);
    for (const sender of SENDERS) {
      for (const phase of PHASES) {
        const allowed =
          (spec.sender === "both" || spec.sender === sender) &&
          (spec.phases as readonly WirePhase[]).includes(phase);
        const attempt = () => decodeMessage(frame, sender, phase);
        if (allowed) {
          assert.deepEqual(attempt(), sample);
        } else {
          assert.deepEqual(failsWith("MESSAGE_UNEXPECTED", attempt), {
            code: "MESSAGE_UNEXPECTED",
            message: sample.name,
            phase,
          });
        }
      }
    }
  }
});

test("a message's sender and phase are checked before anybody looks at its body", () => {
  const hello = { ...frameOf(samples[0]!), body: Uint8Array.of(0xc1), flags: 1 };
  assert.equal(samples[0]!.name, "hello");
  failsWith("MESSAGE_UNEXPECTED", () => decodeMessage(hello, "dest", "greeting"));
  failsWith("MESSAGE_UNEXPECTED", () => decodeMessage(hello, "source", "copying"));
  failsWith("MESSAGE_MALFORMED", () => decodeMessage(hello, "source", "greeting"));
});

test("a message with flags is refused", () => {
  for (const sample of samples) {
    const frame = frameOf(sample);
    for (let bit = 0; bit < 8; bit += 1) {
      failsWith("MESSAGE_MALFORMED", () => decode(sample.name, { ...frame, flags: 1 << bit }));
    }
  }
});

test("a message that lacks a field, or has one too many, is refused", () => {
  for (const { name, body } of samples) {
    const refuses = (changed: object) => {
      const frame = frameOf({ name, body: changed } as Message);
      assert.equal(failsWith("MESSAGE_MALFORMED", () => decode(name, frame)).message, name);
    };
    refuses({ ...body, surprise: 1 });
    for (const key of Object.keys(body)) {
      refuses(Object.fromEntries(Object.entries(body).filter(([other]) => other !== key)));
    }
  }
});

test("a message whose field holds anything else is refused or still in the schema", () => {
  fc.assert(
    fc.property(message, fc.nat(), fc.jsonValue(), ({ name, body }, which, value) => {
      const keys = Object.keys(body);
      const key = keys[which % keys.length] ?? "surprise";
      acceptsOrRefuses(name, frameOf({ name, body: { ...body, [key]: value } } as Message));
    }),
    { numRuns: 500 },
  );
});

test("a message whose body is no map is refused", () => {
  for (const { name } of samples) {
    // nil, true, 0, "", [], bytes, and nothing at all.
    for (const bytes of [[0xc0], [0xc3], [0], [0xa0], [0x90], [0xc4, 1, 7], []]) {
      const body = Uint8Array.from(bytes);
      const frame = {
        type: MESSAGES[name].id,
        flags: 0,
        sequence: 0,
        bodyBytes: bytes.length,
        body,
      };
      failsWith("MESSAGE_MALFORMED", () => decode(name, frame));
    }
  }
});

test("a message that was damaged under way is refused or still in the schema", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(message, damage, (sent, wrong) => {
      const frame = frameOf(sent);
      const body = frame.body.slice();
      for (const [at, byte] of wrong) body[at % body.byteLength] = byte;
      acceptsOrRefuses(sent.name, { ...frame, body });
    }),
    { numRuns: 1000 },
  );
});

test("a message that ends early is refused, whichever byte is its last", () => {
  for (const sample of samples) {
    const frame = frameOf(sample);
    for (let end = 0; end < frame.body.byteLength; end += 1) {
      const body = frame.body.subarray(0, end);
      failsWith("MESSAGE_MALFORMED", () => decode(sample.name, { ...frame, body }));
    }
  }
});

test("a message followed by more bytes is refused", () => {
  for (const sample of samples) {
    const frame = frameOf(sample);
    const body = Uint8Array.of(...frame.body, 0xc0);
    failsWith("MESSAGE_MALFORMED", () => decode(sample.name, { ...frame, body }));
  }
});

test("a message of garbage is refused", () => {
  fc.assert(
    fc.property(fc.constantFrom(...MESSAGE_NAMES), fc.uint8Array(), (name, body) => {
      const [frame] = framesOf([encodeFrame(MESSAGES[name].id, 0, body)]);
      acceptsOrRefuses(name, frame!);
    }),
    { numRuns: 1000 },
  );
});

test("an option named __proto__ reaches no prototype", () => {
  const hello = samples.find((it) => it.name === "hello")!;
  const options = JSON.parse('{"__proto__":"evil"}') as Record<string, string>;
  const received = decode("hello", frameOf({ name: "hello", body: { ...hello.body, options } }));
  assert.equal(received.name, "hello");
  assert.equal(Object.getPrototypeOf(received.body.options), Object.prototype);
  assert.equal(Object.keys(Object.prototype).length, 0);
});

test("a vCPU's state arrives as it was sent", () => {
  const { cpu } = fc.letrec<{ cpu: object; value: unknown }>((tie) => ({
    cpu: fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("value"),
      { noNullPrototype: true, maxKeys: 8 },
    ),
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.double().map((it) => it + 0),
      fc.maxSafeInteger(),
      fc.string(),
      fc.boolean(),
      fc.constantFrom(null, undefined),
      fc.uint8Array(),
      fc.array(tie("value"), { maxLength: 8 }),
      tie("cpu"),
    ),
  }));
  fc.assert(
    fc.property(cpu, (state) => {
      assert.deepEqual(unpackCpu(Uint8Array.from(packCpu(state))), state);
    }),
  );
});

test("a vCPU's state that is no state is refused", () => {
  for (const bytes of [[], [0xc0], [0x01], [0xa1, 0x61], [0x81], [0x80, 0x80]]) {
    const failure = failsWith("MESSAGE_MALFORMED", () => unpackCpu(Uint8Array.from(bytes)));
    assert.equal(failure.message, "switchover");
  }
});

/** Whatever `frame` is, the receiver gets a message that the schema accepts, or a failure. */
function acceptsOrRefuses(name: MessageName, frame: Frame): void {
  try {
    const received = decode(name, frame);
    assert.ok(MESSAGES[name].body.safeParse(received.body).success);
  } catch (error) {
    if (!(error instanceof MigrationError)) throw error;
    assert.equal(error.failure.code, "MESSAGE_MALFORMED");
  }
}
