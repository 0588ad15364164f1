/**
 * Page kernels, in AssemblyScript, on guest memory itself.
 *
 * They import guest memory and own no byte of it, so a 64-bit result comes back in two halves: the lower
 * is returned, the upper waits in `high`. Each thread has an instance of its own, so a `high` of its own.
 *
 * The checksum multiplies vectors of 32-bit words, in the manner of XXH3 (Y. Collet) and NH (Black et al.,
 * "UMAC", 1999). It finds torn and corrupt pages; it does not resist someone who chooses page contents.
 *
 * Loops count an offset, since the end of the last page of 4 GiB is not a 32-bit address.
 */

const PAGE_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 256;
const FOUR_BLOCKS: usize = 4 * BLOCK_BYTES;

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;

let high: i32 = 0;

// Sums of the blocks of the page whose checksum was computed last, four in each.
let sums0: v128 = i32x4.splat(0);
let sums4: v128 = i32x4.splat(0);
let sums8: v128 = i32x4.splat(0);
let sums12: v128 = i32x4.splat(0);

/** Upper half of the last checksum. */
export function checksumHigh(): i32 {
  return high;
}

/**
 * The sums of blocks `2 * pair` (the lower word) and the next (the upper), `pair` from 0 to 7, of the page whose checksum was
 * computed last: two by one call, as the bits of a double. One bit of the upper is always zero, so that it is never NaN, of
 * which an engine may change the bits.
 */
export function blockSums(pair: i32): f64 {
  const four = pair < 4 ? (pair < 2 ? sums0 : sums4) : pair < 6 ? sums8 : sums12;
  const two = (pair & 1) == 0 ? v128.extract_lane<u64>(four, 0) : v128.extract_lane<u64>(four, 1);
  return reinterpret<f64>(two & ~((<u64>1) << 62));
}

/** What one block has added to the sums of its page, in 32 bits. */
function foldBlock(sums: v128): i32 {
  const mixed =
    (v128.extract_lane<u64>(sums, 0) * PRIME_2) ^
    rotl<u64>(v128.extract_lane<u64>(sums, 1) * PRIME_1, 29);
  return <i32>((mixed * PRIME_3) >> 32);
}

function stir(hash: u64, sums: v128): u64 {
  hash = rotl<u64>((hash ^ v128.extract_lane<u64>(sums, 0)) * PRIME_2, 31);
  return rotl<u64>((hash ^ v128.extract_lane<u64>(sums, 1)) * PRIME_1, 29);
}

/**
 * Computes the checksum of the page at byte `address`, leaves its upper half in `high` and returns
 * its lower half.
 *
 * Each 64 bytes are two pairs of vectors. Of a pair, words of one are multiplied by words of the other, each
 * blended with a key first, 32 by 32 bits into sums of 64; each vector is also added plainly to the sum that
 * the product of its lower words does not go to, so that a factor of zero hides nothing. Keys change from 64
 * bytes to the next, so that places matter.
 */
export function checksumPage(address: usize): i32 {
  let a = i64x2.splat(<i64>PRIME_1);
  let b = i64x2.splat(<i64>PRIME_2);
  let c = i64x2.splat(<i64>PRIME_3);
  let d = i64x2.splat(<i64>(0 - PRIME_1));
  let key = i32x4(0x1c3a5b97, 0x6f09d2e3, 0xb54e871d, 0xd8216fa9);
  let otherKey = i32x4(0x93d765dd, 0x2e4b1a6f, 0xf1c8093b, 0x47ae5d15);
  const step = i32x4(0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f);
  let four = i32x4.splat(0);
  let before = i64x2.add(i64x2.add(a, b), i64x2.add(c, d));
  for (let block: usize = 0; block < PAGE_BYTES; block += BLOCK_BYTES) {
    for (let offset: usize = 0; offset < BLOCK_BYTES; offset += 64) {
      const at = address + block + offset;
      const first = v128.load(at);
      const second = v128.load(at, 16);
      const third = v128.load(at, 32);
      const fourth = v128.load(at, 48);
      const x = v128.xor(first, key);
      const y = v128.xor(second, otherKey);
      a = i64x2.add(i64x2.add(a, i64x2.extmul_low_i32x4_u(x, y)), second);
      b = i64x2.add(i64x2.add(b, i64x2.extmul_high_i32x4_u(x, y)), first);
      const z = v128.xor(third, key);
      const w = v128.xor(fourth, otherKey);
      c = i64x2.add(i64x2.add(c, i64x2.extmul_low_i32x4_u(z, w)), fourth);
      d = i64x2.add(i64x2.add(d, i64x2.extmul_high_i32x4_u(z, w)), third);
      key = i32x4.add(key, step);
      otherKey = i32x4.sub(otherKey, step);
    }
    const after = i64x2.add(i64x2.add(a, b), i64x2.add(c, d));
    const sum = foldBlock(i64x2.sub(after, before));
    before = after;
    // The latest is the last of four; the others move down by one.
    four = v128.shuffle<i32>(four, i32x4.splat(sum), 1, 2, 3, 4);
    if ((block + BLOCK_BYTES) % FOUR_BLOCKS != 0) continue;
    sums0 = sums4;
    sums4 = sums8;
    sums8 = sums12;
    sums12 = four;
  }
  let hash = stir(stir(stir(stir(PRIME_3, a), b), c), d);
  hash = (hash ^ (hash >> 33)) * PRIME_2;
  hash = (hash ^ (hash >> 29)) * PRIME_3;
  hash ^= hash >> 32;
  high = <i32>(hash >> 32);
  return <i32>hash;
}

/** Whether every byte of the page at byte `address` is zero; stops at the first 64 that are not. */
function isZero(address: usize): bool {
  for (let offset: usize = 0; offset < PAGE_BYTES; offset += 64) {
    const at = address + offset;
    const any = v128.or(
      v128.or(v128.load(at), v128.load(at, 16)),
      v128.or(v128.load(at, 32), v128.load(at, 48)),
    );
    if (v128.any_true(any)) return false;
  }
  return true;
}

/** How many pages from byte `address` on are zero, of `most`, until the first that is not. */
export function zeroPages(address: usize, most: i32): i32 {
  let count: i32 = 0;
  while (count < most && isZero(address + <usize>count * PAGE_BYTES)) count += 1;
  return count;
}
