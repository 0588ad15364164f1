import type { GuestMemory } from "../../memory/access.js";
import {
  checksum,
  HEADER,
  keyHash,
  MAGIC,
  RECORD,
  recordBytes,
  SLOT,
  slotAt,
} from "./kv-layout.js";

/** What a store is loaded with: at least one byte each. */
export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Free slots keep searches short. */
const SLOTS_PER_RECORD = 1.5;
/** Memory for directory and slots that a record takes at most: slots are a power of two. */
const INDEX_BYTES_PER_RECORD = 4 + 2 * SLOTS_PER_RECORD * SLOT.BYTES;

/** Takes records one by one, and then makes the store of them. */
export class StoreBuilder {
  private recordCount = 0;
  private end: number;

  /** The store takes at most `limitBytes` from byte `address` on. Memory there must be zero. */
  constructor(
    private readonly memory: GuestMemory,
    private readonly address: number,
    private readonly limitBytes: number,
  ) {
    this.end = address + HEADER.BYTES;
  }

  /** Whether the record fitted. */
  append({ key, value }: KeyValue): boolean {
    const { memory, end: record } = this;
    const keyWords = Math.ceil(key.length / 4);
    const valueWords = Math.ceil(value.length / 4);
    const end = record + RECORD.KEY + (keyWords + valueWords) * 4;
    const indexBytes = (this.recordCount + 1) * INDEX_BYTES_PER_RECORD;
    if (end + indexBytes > this.address + this.limitBytes) return false;
    memory.store32(record + RECORD.NUMBER, this.recordCount);
    memory.store32(record + RECORD.KEY_WORDS, keyWords);
    memory.store32(record + RECORD.VALUE_WORDS, valueWords);
    memory.writeBytes(record + RECORD.KEY, key);
    memory.writeBytes(record + RECORD.KEY + keyWords * 4, value);
    this.end = end;
    this.recordCount++;
    return true;
  }

  /** Writes header, directory and slots; returns the number of records. */
  finish(): number {
    const { memory, address, recordCount, end: directory } = this;
    const slots = directory + recordCount * 4;
    let slotCount = 1;
    while (slotCount < recordCount * SLOTS_PER_RECORD) slotCount *= 2;

    memory.store32(address + HEADER.MAGIC, MAGIC);
    memory.store32(address + HEADER.RECORDS_END, this.end);
    memory.store32(address + HEADER.DIRECTORY, directory);
    memory.store32(address + HEADER.SLOTS, slots);
    memory.store32(address + HEADER.SLOT_COUNT, slotCount);
    const sum = checksum(memory, address, HEADER.CHECKSUM);
    memory.store32(address + HEADER.CHECKSUM, sum);

    let record = address + HEADER.BYTES;
    for (let number = 0; number < recordCount; number++) {
      memory.store32(directory + number * 4, record);
      this.insert(slots, slotCount, record);
      record += recordBytes(memory, record);
    }
    return recordCount;
  }

  private insert(slots: number, slotCount: number, record: number): void {
    const { memory } = this;
    const hash = keyHash(memory, record);
    let place = hash;
    while (memory.loadU32(slotAt(slots, slotCount, place) + SLOT.RECORD) !== 0) place++;
    const slot = slotAt(slots, slotCount, place);
    memory.store32(slot + SLOT.RECORD, record);
    memory.store32(slot + SLOT.HASH, hash);
    memory.store32(slot + SLOT.CHECKSUM, checksum(memory, record, recordBytes(memory, record)));
  }
}
