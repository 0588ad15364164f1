/** Numbers from 0 to `below` - 1, the same ones for the same seed (xorshift32, G. Marsaglia 2003). */
export function randomNumbers(ownSeed: number): (below: number) => number {
  // Zero is xorshift's one fixed point; the multiplication spreads seeds that are close together.
  let state = Math.imul(ownSeed ^ 0x5bd1e995, 0x9e3779b1) || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
