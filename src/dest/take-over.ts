import { MigrationError } from "../failure.js";
import type { CpuStates } from "../guest/guest.js";
import { AtomicPageBitmap, PageBitmap } from "../memory/bitmap.js";
import { everyPage } from "../memory/geometry.js";
import { PageTables } from "../memory/page-tables.js";
import { GuestRam } from "../memory/ram.js";
import { mixedPages } from "../memory/sample-pages.js";
import { ABSENT, FIRST_EPOCH } from "../memory/words.js";
import { decodeMessage, encodeMessage, packCpu, unpackCpu } from "../protocol/codec.js";
import { FrameDecoder } from "../protocol/frame.js";
import { MAX_CONTROL_BYTES } from "../protocol/limits.js";
import type { MessageBody } from "../protocol/messages.js";
import { ArrivalTables } from "./arrival-tables.js";
import { stampPages } from "./publisher.js";

/** A switchover message that makes sense. */
export interface Switchover {
  readonly states: CpuStates;
  readonly dirty: PageBitmap;
}

/**
 * Checks everything that can be wrong with a switchover, before the point of no return: so a source that
 * asks is told the truth. Takes the dirty pages out of `ram.arrived`. Throws MESSAGE_MALFORMED.
 */
export function readSwitchover(
  body: MessageBody<"switchover">,
  generation: number,
  ram: GuestRam,
): Switchover {
  const { cpus, operations } = body;
  const counts = cpus.length === ram.vcpuCount && operations.length === ram.vcpuCount;
  if (body.generation !== generation || !counts) {
    throw wrong("its generation or its number of vCPUs is not what hello said");
  }
  const dirty = PageBitmap.fromBytes(ram.pageCount, body.dirty);
  if (dirty === undefined) throw wrong("its bitmap is not one of this guest's pages");
  // Whatever is not dirty must have come in stage one.
  if (!ram.arrived.subtract(dirty)) throw wrong("pages are neither dirty nor have they been sent");
  return { states: { cpus: cpus.map(unpackCpu), operations }, dirty };
}

/** Makes the dirty pages missing; returns how many they are. No other thread uses the guest's tables yet. */
export function install({ dirty }: Switchover, guest: PageTables, tables: ArrivalTables): number {
  guest.stamp(dirty, ABSENT);
  const missing = dirty.count();
  tables.claimed.setComplement(dirty);
  tables.enterStageThree(missing);
  return missing;
}

/** Enough for the compiler to take the loops seriously. */
const REHEARSALS = 30;
/** Of who has been through those while it waited: by now its code may have left the caches. */
const REHEARSALS_AGAIN = 4;
const REHEARSAL_RAM_BYTES = 64 * 2 ** 20;

/**
 * Goes through a switchover of a guest that nobody needs. Code that runs for the first time is read and compiled
 * as it runs; in the real switchover that would cost ten times what the work itself does, while the
 * guest stands still. Rehearsed in full before, by a host that waits, it takes a few milliseconds of stage one.
 */
export function rehearse(): void {
  try {
    const steps = rehearsal(REHEARSALS_AGAIN);
    while (steps.next().done !== true);
  } catch (error) {
    // There is no memory for it: then the guest stands still a few milliseconds longer.
    if (!(error instanceof RangeError)) throw error;
  }
}

/** The same, in full or for as many rounds as are said, step by step. */
export function* rehearsal(rounds = REHEARSALS): Generator<void> {
  const ram = GuestRam.allocate(REHEARSAL_RAM_BYTES, 1);
  const guest = new PageTables(ram);
  const dirty = mixedPages(ram.pageCount);
  const body = { generation: 1, cpus: [packCpu({})], operations: [0], dirty: dirty.toBytes() };
  const { bitmap: untouched } = AtomicPageBitmap.create(ram.pageCount);
  const all = everyPage(ram.byteLength);
  ram.arrived.addRange(all);
  for (let round = 0; round < rounds; round += 1) {
    const [frame] = new FrameDecoder(MAX_CONTROL_BYTES).push(encodeMessage("switchover", body, 0));
    const message = decodeMessage(frame!, "source", "switchover");
    if (message.name !== "switchover") return;
    const switchover = readSwitchover(message.body, 1, ram);
    install(switchover, guest, ArrivalTables.create(ram.pageCount, 1));
    // As the publisher will, while the push wants the core.
    ram.arrived.addRange(all);
    stampPages(ram.stamps, ram.arrived.takeFrom(switchover.dirty, untouched), FIRST_EPOCH);
    yield;
  }
}

function wrong(detail: string): MigrationError {
  return new MigrationError({ code: "MESSAGE_MALFORMED", message: "switchover", detail });
}
