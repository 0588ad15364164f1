/**
 * Page kernels, in AssemblyScript, on guest memory itself.
 *
 * They import guest memory and own no byte of it, so a 64-bit result comes back in two halves: the lower
 * is returned, the upper waits in `high`. Each thread has an instance of its own, so a `high` of its own.
 *
 * The checksum multiplies and rotates four lanes of 64-bit words, in the manner of xxHash64 (Y. Collet).
 * It finds torn and corrupt pages; it does not resist someone who chooses page contents.
 *
 * Loops count an offset, since the end of the last page of 4 GiB is not a 32-bit address.
 */

const PAGE_BYTES: usize = 4096;

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;

let high: i32 = 0;

/** Upper half of the last checksum. */
export function checksumHigh(): i32 {
  return high;
}

function round(lane: u64, word: u64): u64 {
  return rotl<u64>(lane + word * PRIME_2, 31) * PRIME_1;
}

/**
 * Computes the checksum of the page at byte `address`, leaves its upper half in `high` and returns
 * its lower half.
 */
export function checksumPage(address: usize): i32 {
  let a: u64 = PRIME_1 + PRIME_2;
  let b: u64 = PRIME_2;
  let c: u64 = 0;
  let d: u64 = 0 - PRIME_1;
  for (let offset: usize = 0; offset < PAGE_BYTES; offset += 64) {
    const at = address + offset;
    a = round(round(a, load<u64>(at)), load<u64>(at, 32));
    b = round(round(b, load<u64>(at, 8)), load<u64>(at, 40));
    c = round(round(c, load<u64>(at, 16)), load<u64>(at, 48));
    d = round(round(d, load<u64>(at, 24)), load<u64>(at, 56));
  }
  let hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  hash ^= hash >> 32;
  high = <i32>(hash >> 32);
  return <i32>hash;
}

/** Whether every byte of the page at byte `address` is zero; stops at the first 64 that are not. */
export function isZeroPage(address: usize): i32 {
  for (let offset: usize = 0; offset < PAGE_BYTES; offset += 64) {
    const at = address + offset;
    const any = v128.or(
      v128.or(v128.load(at), v128.load(at, 16)),
      v128.or(v128.load(at, 32), v128.load(at, 48)),
    );
    if (v128.any_true(any)) return 0;
  }
  return 1;
}
