/**
 * Named counters that threads share. Each is a 64-bit integer; adding is atomic, and so is reading, so a
 * reader sees sums that are old but never torn.
 */
export class SharedCounters<Name extends string> {
  private readonly cells: BigInt64Array;

  constructor(
    private readonly names: readonly Name[],
    buffer: SharedArrayBuffer,
  ) {
    this.cells = new BigInt64Array(buffer);
  }

  static createBuffer(names: readonly string[]): SharedArrayBuffer {
    return new SharedArrayBuffer(names.length * 8);
  }

  /** Adds `amount` and returns the sum before. */
  add(name: Name, amount: number): number {
    return Number(Atomics.add(this.cells, this.names.indexOf(name), BigInt(amount)));
  }

  read(name: Name): number {
    return Number(Atomics.load(this.cells, this.names.indexOf(name)));
  }
}
