import { VCPU_WORDS, vcpuWords } from "../memory/words.js";

/**
 * The sum over all vCPUs of a word that they count up modulo 2^32, as a number that goes on growing. To be looked at before any
 * word has gone round.
 */
export class WordTotal {
  private total = 0;
  private readonly seen: number[];

  constructor(
    private readonly words: Int32Array,
    vcpuCount: number,
    private readonly name: keyof typeof VCPU_WORDS,
  ) {
    this.seen = Array.from({ length: vcpuCount }, () => 0);
  }

  /** Counts on from there: what each vCPU's word begins with. */
  begin(counts: readonly number[]): void {
    this.total = counts.reduce((total, count) => total + count, 0);
    this.seen.forEach((_, vcpu) => {
      this.seen[vcpu] = (counts[vcpu] ?? 0) | 0;
      Atomics.store(this.words, this.at(vcpu), this.seen[vcpu]);
    });
  }

  look(): number {
    this.seen.forEach((before, vcpu) => {
      const now = Atomics.load(this.words, this.at(vcpu));
      this.total += (now - before) >>> 0;
      this.seen[vcpu] = now;
    });
    return this.total;
  }

  private at(vcpu: number): number {
    return vcpuWords(vcpu) + VCPU_WORDS[this.name];
  }
}
