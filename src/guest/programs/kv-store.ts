import type { GuestMemory } from "../../memory/access.js";
import {
  checksum,
  HEADER,
  keyHash,
  MAGIC,
  mixWord,
  RECORD,
  recordBytes,
  SLOT,
  slotAt,
  valueOf,
} from "./kv-layout.js";
import { FIELD_BYTES, printable } from "./kv-ycsb.js";
import { nextBelow, nextWord, type Random } from "./random.js";

/** Where the parts of a store lie, in bytes from the start of guest memory. */
export interface Store {
  readonly records: number;
  readonly recordsEnd: number;
  readonly directory: number;
  readonly slots: number;
  readonly slotCount: number;
}

/** The store in the region from byte `address`, or undefined when its header is damaged. */
export function openStore(memory: GuestMemory, address: number): Store | undefined {
  const sum = checksum(memory, address, HEADER.CHECKSUM);
  if (memory.loadI32(address + HEADER.CHECKSUM) !== sum) return undefined;
  if (memory.loadU32(address + HEADER.MAGIC) !== MAGIC) return undefined;
  return {
    records: address + HEADER.BYTES,
    recordsEnd: memory.loadU32(address + HEADER.RECORDS_END),
    directory: memory.loadU32(address + HEADER.DIRECTORY),
    slots: memory.loadU32(address + HEADER.SLOTS),
    slotCount: memory.loadU32(address + HEADER.SLOT_COUNT),
  };
}

/**
 * Asks for the key of record `number` and reads all of the record that is found. False when none is
 * found, or when it is not what was last written.
 */
export function readRecord(memory: GuestMemory, store: Store, number: number): boolean {
  const slot = findSlot(memory, store, number);
  if (slot === 0) return false;
  const record = memory.loadU32(slot + SLOT.RECORD);
  const sum = checksum(memory, record, recordBytes(memory, record));
  return memory.loadI32(slot + SLOT.CHECKSUM) === sum;
}

/**
 * Asks for the key of record `number` and gives one field of it new contents. The checksum is
 * mended by the difference alone, so damage elsewhere in the record stays visible. False when none
 * is found.
 */
export function updateRecord(
  memory: GuestMemory,
  store: Store,
  number: number,
  random: Random,
): boolean {
  const slot = findSlot(memory, store, number);
  if (slot === 0) return false;
  const record = memory.loadU32(slot + SLOT.RECORD);
  const value = valueOf(memory, record);
  const valueBytes = memory.loadU32(record + RECORD.VALUE_WORDS) * 4;
  const field = nextBelow(random, Math.ceil(valueBytes / FIELD_BYTES));
  const from = value + field * FIELD_BYTES;
  const to = Math.min(value + valueBytes, from + FIELD_BYTES);
  let sum = memory.loadI32(slot + SLOT.CHECKSUM);
  for (let at = from; at < to; at += 4) {
    const word = printable(nextWord(random));
    sum += mixWord(word, at - record) - mixWord(memory.loadI32(at), at - record);
    memory.store32(at, word);
  }
  memory.store32(slot + SLOT.CHECKSUM, sum);
  return true;
}

/** The slot that the key of record `number` leads to; 0 when it leads nowhere. */
function findSlot(memory: GuestMemory, store: Store, number: number): number {
  const known = memory.loadU32(store.directory + number * 4);
  if (!isRecord(memory, store, known)) return 0;
  if (memory.loadU32(known + RECORD.NUMBER) !== number) return 0;
  const hash = keyHash(memory, known);
  for (let probe = 0; probe < store.slotCount; probe++) {
    const slot = slotAt(store.slots, store.slotCount, hash + probe);
    const record = memory.loadU32(slot + SLOT.RECORD);
    if (record === 0) return 0;
    if (memory.loadI32(slot + SLOT.HASH) !== hash || !isRecord(memory, store, record)) continue;
    if (haveSameKey(memory, known, record)) return slot;
  }
  return 0;
}

/** Whether a record may stand at `address`: it lies wholly where records are. */
function isRecord(memory: GuestMemory, { records, recordsEnd }: Store, address: number): boolean {
  if (address < records || address + RECORD.KEY > recordsEnd || (address & 3) !== 0) return false;
  return address + recordBytes(memory, address) <= recordsEnd;
}

/** Compares from the length of the key on, so that no key is the beginning of another. */
function haveSameKey(memory: GuestMemory, one: number, two: number): boolean {
  const keyWords = memory.loadU32(one + RECORD.KEY_WORDS);
  if (memory.loadU32(two + RECORD.KEY_WORDS) !== keyWords) return false;
  for (let offset = RECORD.KEY; offset < RECORD.KEY + keyWords * 4; offset += 4) {
    if (memory.loadI32(one + offset) !== memory.loadI32(two + offset)) return false;
  }
  return true;
}
