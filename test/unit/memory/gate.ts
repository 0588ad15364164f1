/** Where the threads of a test stand still while nobody may touch memory. */
export class Gate {
  /** Odd while the gate is closed; each closing has a number of its own, so that none goes unnoticed. */
  private readonly word: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.word = new Int32Array(buffer);
  }

  get isClosed(): boolean {
    return Atomics.load(this.word, 0) % 2 === 1;
  }

  /** Opens the closed gate, or closes the open one. */
  turn(): void {
    Atomics.add(this.word, 0, 1);
    Atomics.notify(this.word, 0);
  }

  /** Waits until the gate is closed. */
  awaitClosing(): void {
    for (;;) {
      const seen = Atomics.load(this.word, 0);
      if (seen % 2 === 1) return;
      Atomics.wait(this.word, 0, seen);
    }
  }

  /** Waits until the gate is open; calls `arrived` once for each closing that it waits for. */
  pass(arrived: () => void): void {
    // A thread may be woken by the very closing that it has already seen.
    let told = -1;
    for (;;) {
      const seen = Atomics.load(this.word, 0);
      if (seen % 2 === 0) return;
      if (seen !== told) arrived();
      told = seen;
      Atomics.wait(this.word, 0, seen);
    }
  }
}
