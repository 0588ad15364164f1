import { z } from "zod";
import type { Failure } from "../failure.js";
import { MAX_BITMAP_BYTES, MAX_CHANNELS, MAX_CPU_STATE_BYTES, MAX_PROBE_BYTES } from "./limits.js";
import { latencySchema, reportSchema } from "./report.js";

/**
 * The control messages. This table is the contract: types, the checks of sender and phase,
 * PROTOCOL.md and the round-trip tests are derived from it.
 *
 *     source                                          destination
 *       │ hello ─────────────────────────────────────────► │  allocates memory
 *       │ ◄────────────────────────────────────── welcome  │
 *       │ attach … attached   (each bulk channel, urgent,  │
 *       │                      each vCPU's fault line)     │
 *       │ prepare ───────────────────────────────────────► │  starts vCPU threads, parked
 *       │ ═══ pages, barrier ═════════ stage one ════════► │
 *       │ ◄═══════════════════════ torn, barrier passed ═══│
 *       │ ◄───────────────────────────────────── prepared  │
 *       │ (pauses the guest)                               │
 *       │ switchover ────────────── stage two ───────────► │  resumes the guest
 *       │ ◄────────────────────────────────────── running  │
 *       │ ═══ pages ════════════════ stage three ════════► │
 *       │ ◄════════════════════════ requests, credits ═════│
 *       │ ◄───────────────────────────────────── complete  │
 *       │ (releases the guest)                             │
 *       │ ◄────────────────────────────────────── summary  │
 *       │ report ────────────────────────────────────────► │
 *
 * Stage one may have several passes, each with its barrier, or none; and one more may come while
 * the guest stands still, just before the switchover. How many, only the source knows.
 *
 * `ping` is answered by `pong` at any time. Until the switchover the source may `cancel`. In stage
 * three the destination tells its `progress`. Whoever gives up says `failed`. A source in doubt
 * opens a new connection and says `ask`; `owner` answers it.
 *
 * Outside any migration a source may `probe` the link on a connection of its own: after `probing` it sends
 * the bytes that it named, which are no frames and are thrown away, and `probed` says how fast they came.
 */

export type Sender = "source" | "dest";

/** Where the receiver of a message stands. The phases of the two sides, as the wire knows them. */
export type WirePhase =
  /** Nothing was heard yet. */
  | "greeting"
  /** Stage one. */
  | "copying"
  /** Source: the switchover is sent. Destination: the guest may be handed over at any moment. */
  | "switchover"
  /** Stage three. */
  | "draining"
  /** Every page has arrived; the guest is watched a little longer for the report. */
  | "observing";

interface MessageSpec {
  readonly id: number;
  readonly sender: Sender | "both";
  /** The receiver's phases in which the message may come. */
  readonly phases: readonly WirePhase[];
  readonly summary: string;
  readonly body: z.ZodObject;
}

const version = z.int().min(0).max(0xffff);
const identifier = z.string().min(1).max(64);
const session = z
  .instanceof(Uint8Array)
  .refine((bytes) => bytes.byteLength === 32, "32 bytes")
  .meta({ type: "bytes", minLength: 32, maxLength: 32 });
const token = z.string().max(4096).nullable();
const generation = z
  .int()
  .min(1)
  .max(2 ** 31);
const text = z.string().max(4096);
/**
 * Bytes have no place in JSON Schema; `meta` tells the protocol document and the tests about them.
 */
const bytes = (limit: number) =>
  z
    .instanceof(Uint8Array)
    .refine((it) => it.byteLength <= limit, `at most ${String(limit)} bytes`)
    .meta({ type: "bytes", minLength: 0, maxLength: limit });
const count = z.int().min(0);
/** Milliseconds of the sender's own clock; only differences mean anything to the other side. */
const instant = z.number();

/** Pages that arrived in stage three, by what brought them, and what the guest's faults cost. */
const arrivals = {
  pulled: count,
  prepulled: count,
  pushed: count,
  unchanged: count,
  verifiedPages: count,
  mismatches: count,
  faults: count,
  networkFaults: count,
  prepullHits: count,
  blockedMs: z.number().min(0),
};

export const MESSAGES = {
  hello: {
    id: 0x01,
    sender: "source",
    phases: ["greeting"],
    summary: "Opens a migration: who is coming, how large, and the secret of its connections.",
    body: z.strictObject({
      version,
      migrationId: identifier,
      session,
      token,
      guestId: identifier,
      /** `builtin:NAME`, or the absolute path of a module. */
      program: z.string().min(1).max(4096),
      programSha256: z.string().length(64).nullable(),
      options: z.record(z.string().max(256), z.string().max(4096)),
      ramBytes: count,
      pageBytes: count,
      vcpuCount: count,
      generation,
      channels: z.int().min(1).max(MAX_CHANNELS),
      /** Whether pages come with checksums; if not, these are 0 and are not compared. */
      checksums: z.boolean(),
    }),
  },
  attach: {
    id: 0x02,
    sender: "source",
    phases: ["greeting"],
    summary: "First on every further connection: which migration and channel it serves.",
    body: z.strictObject({ version, migrationId: identifier, session, channel: identifier }),
  },
  ask: {
    id: 0x03,
    sender: "source",
    phases: ["greeting"],
    summary: "A source in doubt asks on a new connection who owns the guest.",
    body: z.strictObject({
      version,
      migrationId: identifier,
      session,
      token,
      guestId: identifier,
      generation,
    }),
  },
  prepare: {
    id: 0x04,
    sender: "source",
    phases: ["copying"],
    summary: "Start the guest's vCPU threads, parked, so that the switchover finds them ready.",
    body: z.strictObject({}),
  },
  switchover: {
    id: 0x05,
    sender: "source",
    phases: ["switchover"],
    summary: "The guest, less the pages that are dirty. From here the destination owns it.",
    body: z.strictObject({
      generation,
      cpus: z.array(bytes(MAX_CPU_STATE_BYTES)).min(1).max(8),
      /** Operations that each vCPU has done since the guest was born. */
      operations: z.array(count).min(1).max(8),
      /** Bitmap of dirty pages: page p is bit p % 8 of byte p / 8. */
      dirty: bytes(MAX_BITMAP_BYTES),
    }),
  },
  cancel: {
    id: 0x06,
    sender: "source",
    phases: ["copying", "switchover"],
    summary: "The guest stays at the source; free what was received.",
    body: z.strictObject({ by: text }),
  },
  report: {
    id: 0x07,
    sender: "source",
    phases: ["observing"],
    summary: "The migration's report, for whoever watches the destination. Ends the migration.",
    body: z.strictObject({ report: reportSchema }),
  },
  ping: {
    id: 0x08,
    sender: "both",
    phases: ["copying", "switchover", "draining", "observing"],
    summary: "Measures the round trip and the difference of the clocks; shows that one is alive.",
    body: z.strictObject({ sentMs: instant }),
  },
  pong: {
    id: 0x09,
    sender: "both",
    phases: ["copying", "switchover", "draining", "observing"],
    summary: "Answers a ping.",
    body: z.strictObject({ sentMs: instant, receivedMs: instant }),
  },
  failed: {
    id: 0x0a,
    sender: "both",
    phases: ["greeting", "copying", "switchover", "draining", "observing"],
    summary: "Why the sender ends the migration. Nothing follows.",
    body: z.strictObject({ code: z.string().max(64), text }),
  },
  probe: {
    id: 0x0b,
    sender: "source",
    phases: ["greeting"],
    summary: "Asks to measure the link with this many bytes, which belong to no guest.",
    body: z.strictObject({ version, token, bytes: z.int().min(0).max(MAX_PROBE_BYTES) }),
  },
  welcome: {
    id: 0x81,
    sender: "dest",
    phases: ["greeting"],
    summary: "The guest may come; memory for it is there.",
    body: z.strictObject({ version, hostId: identifier }),
  },
  owner: {
    id: 0x83,
    sender: "dest",
    phases: ["greeting"],
    summary:
      "Answers `ask` from the journal; `refused` is journalled before it is said. `lost`: it ran here, and is here no longer. " +
      "`unknown`: this host never was ready for it, so it says nothing of who has it.",
    body: z.strictObject({
      generation,
      answer: z.enum(["running", "refused", "lost", "unknown"]),
    }),
  },
  prepared: {
    id: 0x84,
    sender: "dest",
    phases: ["copying"],
    summary: "The vCPU threads are ready.",
    body: z.strictObject({}),
  },
  running: {
    id: 0x85,
    sender: "dest",
    phases: ["switchover"],
    summary: "The guest runs here. The source may no longer resume it.",
    body: z.strictObject({
      generation,
      receivedMs: instant,
      /** Null while the first operation has not ended; then `summary` says when it did. */
      firstOperationMs: instant.nullable(),
    }),
  },
  progress: {
    id: 0x86,
    sender: "dest",
    phases: ["switchover", "draining"],
    summary: "Several times a second in stage three, for whoever watches the source.",
    body: z.strictObject({ missingPages: count, operationsPerSecond: z.number(), faults: count }),
  },
  complete: {
    id: 0x87,
    sender: "dest",
    phases: ["draining"],
    summary: "Every page has arrived and passed its checksum. The source may free the guest.",
    body: z.strictObject({ completedMs: instant, ...arrivals }),
  },
  summary: {
    id: 0x88,
    sender: "dest",
    phases: ["observing"],
    summary: "What the guest experienced at the destination, for the report.",
    body: z.strictObject({
      /** Null when no operation has ended by now. */
      firstOperationMs: instant.nullable(),
      latencyUs: latencySchema,
      /** Bins of 10 ms: start by the destination's clock, operations in it. */
      bins: z.array(z.tuple([instant, count])).max(50_000),
    }),
  },
  probing: {
    id: 0x89,
    sender: "dest",
    phases: ["greeting"],
    summary: "The bytes of the probe may come. The time until it does is a round trip.",
    body: z.strictObject({}),
  },
  probed: {
    id: 0x8a,
    sender: "dest",
    phases: ["greeting"],
    summary:
      "The bytes of a probe that came in time, and how long after the first of them the last.",
    body: z.strictObject({
      receivedBytes: z.int().min(0).max(MAX_PROBE_BYTES),
      spanMs: z.number().min(0),
    }),
  },
} as const satisfies Record<string, MessageSpec>;

export type MessageName = keyof typeof MESSAGES;
export type MessageBody<Name extends MessageName> = z.infer<(typeof MESSAGES)[Name]["body"]>;

/** Any message, discriminated by its name. */
export type Message = {
  [Name in MessageName]: { readonly name: Name; readonly body: MessageBody<Name> };
}[MessageName];

/** What the other side said in its `failed` message. */
export function peerFailure({ code, text: reason }: MessageBody<"failed">): Failure {
  return { code: "PEER_FAILED", peerCode: code, text: reason };
}
