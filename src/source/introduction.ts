import { randomBytes } from "node:crypto";
import { MigrationError } from "../failure.js";
import type { GuestSpec } from "../guest/guest.js";
import { PAGE_BYTES } from "../memory/geometry.js";
import { encodeMessage } from "../protocol/codec.js";
import type { MessageBody } from "../protocol/messages.js";
import { isVersionSupported, PROTOCOL_VERSION } from "../protocol/version.js";
import type { OutgoingOptions } from "./outgoing-options.js";

/** What a source says of itself and its guest on each connection of one migration, and asks of the answer. */
export class Introduction {
  /** The secret that ties the connections of one migration together. */
  private readonly session = new Uint8Array(randomBytes(32));

  constructor(
    private readonly options: OutgoingOptions,
    private readonly spec: GuestSpec,
  ) {}

  hello(): MessageBody<"hello"> {
    const { options, spec, session } = this;
    return {
      version: PROTOCOL_VERSION,
      migrationId: options.migrationId,
      session,
      token: options.token,
      guestId: spec.guestId,
      program: spec.program,
      programSha256: spec.programSha256,
      options: { ...spec.options },
      ramBytes: spec.ramBytes,
      pageBytes: PAGE_BYTES,
      vcpuCount: spec.vcpuCount,
      generation: options.generation,
      channels: options.channels,
      checksums: options.request.tuning.checksums,
    };
  }

  /** The first frame of a channel. */
  attach(channel: string): Uint8Array<ArrayBuffer> {
    const { session } = this;
    const { migrationId } = this.options;
    const version = PROTOCOL_VERSION;
    return encodeMessage("attach", { version, migrationId, session, channel }, 0);
  }

  ask(): MessageBody<"ask"> {
    const { session } = this;
    const { migrationId, token, generation } = this.options;
    const { guestId } = this.spec;
    return { version: PROTOCOL_VERSION, migrationId, session, token, guestId, generation };
  }

  /** Throws VERSION_UNSUPPORTED. */
  checkVersion(theirs: number): void {
    if (isVersionSupported(theirs)) return;
    const ours = PROTOCOL_VERSION;
    throw new MigrationError({ code: "VERSION_UNSUPPORTED", theirs, ours });
  }

  /** Throws MESSAGE_MALFORMED for word of another handover than this migration's. */
  checkGeneration(generation: number): void {
    const { generation: ours } = this.options;
    if (generation === ours) return;
    const detail = `it is about generation ${String(generation)}, not ${String(ours)}`;
    throw new MigrationError({ code: "MESSAGE_MALFORMED", message: "running", detail });
  }
}
