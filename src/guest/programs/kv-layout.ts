/**
 * How a store lies in one vCPU's region of guest memory: header, records, directory, slots, one
 * after the other, all in 32-bit words.
 *
 * - The directory has the address of each record, by its number. It stands for what clients know:
 *   which keys there are.
 * - The slots are a hash table with linear probing: a key's hash leads to the record of that key.
 * - Keys and values are padded with zeros to whole words.
 *
 * A record's checksum stands in its slot, far from the record itself, so a page of either that came
 * old or damaged is noticed when the record is next read.
 */
import type { GuestMemory } from "../../memory/access.js";

/** Byte offsets within the header. `CHECKSUM` is over the words before it. */
export const HEADER = {
  MAGIC: 0,
  RECORDS_END: 4,
  DIRECTORY: 8,
  SLOTS: 12,
  SLOT_COUNT: 16, // a power of two
  CHECKSUM: 20,
  BYTES: 24,
} as const;

/** `tskv` */
export const MAGIC = 0x766b7374;

/** Byte offsets within a record. The value follows its key. */
export const RECORD = { NUMBER: 0, KEY_WORDS: 4, VALUE_WORDS: 8, KEY: 12 } as const;

/** Byte offsets within a slot. A free one holds only zeros. */
export const SLOT = { RECORD: 0, HASH: 4, CHECKSUM: 8, BYTES: 12 } as const;

/** The slot where a search from `place` on begins; places are taken modulo `slotCount`. */
export function slotAt(slots: number, slotCount: number, place: number): number {
  return slots + (place & (slotCount - 1)) * SLOT.BYTES;
}

export function recordBytes(memory: GuestMemory, record: number): number {
  const words =
    memory.loadU32(record + RECORD.KEY_WORDS) + memory.loadU32(record + RECORD.VALUE_WORDS);
  return RECORD.KEY + words * 4;
}

/** Where the value of a record begins. */
export function valueOf(memory: GuestMemory, record: number): number {
  return record + RECORD.KEY + memory.loadU32(record + RECORD.KEY_WORDS) * 4;
}

/** FNV-1a over the words of a record's key; its low bits are weak, so high ones are folded in. */
export function keyHash(memory: GuestMemory, record: number): number {
  const end = valueOf(memory, record);
  let hash = 0x811c9dc5;
  for (let at = record + RECORD.KEY; at < end; at += 4) {
    hash = Math.imul(hash ^ memory.loadI32(at), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Signed 32 bits over `byteCount` bytes, whole words; a sum of `mixWord`. */
export function checksum(memory: GuestMemory, address: number, byteCount: number): number {
  let sum = 0;
  for (let offset = 0; offset < byteCount; offset += 4) {
    sum = (sum + mixWord(memory.loadI32(address + offset), offset)) | 0;
  }
  return sum;
}

/** What the word at byte `offset` adds to a checksum: one-to-one, so one changed word shows. */
export function mixWord(word: number, offset: number): number {
  let x = Math.imul(word ^ Math.imul(offset + 1, 0x9e3779b1), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
  return x ^ (x >>> 13);
}
