import type { GuestMemory } from "../../memory/access.js";
import { nextWord, type Random } from "./random.js";

/** Two halves of equal length that every pass fills alike and then compares, word by word. */
export interface Halves {
  /** Bytes: where the first and the second half begin. */
  readonly first: number;
  readonly second: number;
  readonly wordCount: number;
}

/** What a pass may use besides memory. It lives in the CPU state. */
export interface PassState {
  round: number;
  /** Drawn anew for each round. */
  operand: number;
  readonly random: Random;
  errors: number;
  /** Byte address of the first word that failed. */
  firstError: number | null;
}

/** Works on the words `from` up to and without `to` of both halves. */
type Sweep = (
  memory: GuestMemory,
  halves: Halves,
  from: number,
  to: number,
  state: PassState,
) => void;

/** Each round writes all words and then verifies them all. */
interface Pass {
  readonly name: string;
  readonly rounds: number;
  readonly write: Sweep;
  readonly verify: Sweep;
}

const compareHalves: Sweep = (memory, { first, second }, from, to, state) => {
  for (let at = from * 4; at < to * 4; at += 4) {
    if (memory.loadU32(first + at) !== memory.loadU32(second + at)) recordError(state, first + at);
  }
};

function recordError(state: PassState, address: number): void {
  state.errors++;
  state.firstError ??= address;
}

/** Even words hold `even` of the round, odd words `odd` of it. */
function pattern(
  name: string,
  rounds: number,
  even: (round: number) => number,
  odd: (round: number) => number,
): Pass {
  const write: Sweep = (memory, { first, second }, from, to, { round }) => {
    const words = [even(round), odd(round)] as const;
    for (let i = from; i < to; i++) {
      const word = (i & 1) === 0 ? words[0] : words[1];
      memory.store32(first + i * 4, word);
      memory.store32(second + i * 4, word);
    }
  };
  return { name, rounds, write, verify: compareHalves };
}

/** Odd words are the complement of even ones, so neighbours pull at each other. */
function opposed(name: string, rounds: number, even: (round: number) => number): Pass {
  return pattern(name, rounds, even, (round) => ~even(round));
}

/** All words are alike. */
function uniform(name: string, rounds: number, word: (round: number) => number): Pass {
  return pattern(name, rounds, word, word);
}

/** Changes what earlier passes left, alike in both halves. */
function change(name: string, apply: (word: number, operand: number) => number): Pass {
  const write: Sweep = (memory, { first, second }, from, to, { operand }) => {
    for (let at = from * 4; at < to * 4; at += 4) {
      memory.store32(first + at, apply(memory.loadU32(first + at), operand));
      memory.store32(second + at, apply(memory.loadU32(second + at), operand));
    }
  };
  return { name, rounds: 1, write, verify: compareHalves };
}

/** Random words, whole in one half and by `store` in small pieces in the other; then vice versa. */
function narrow(
  name: string,
  store: (memory: GuestMemory, address: number, word: number) => void,
): Pass {
  const write: Sweep = (memory, { first, second }, from, to, { round, random }) => {
    const [whole, pieces] = round === 0 ? [first, second] : [second, first];
    for (let at = from * 4; at < to * 4; at += 4) {
      const word = nextWord(random);
      memory.store32(whole + at, word);
      store(memory, pieces + at, word);
    }
  };
  return { name, rounds: 2, write, verify: compareHalves };
}

/** Each word holds its own address or, every second one, its complement; rounds change which. */
const stuckAddress: Pass = {
  name: "stuck address",
  rounds: 16,
  write(memory, { first, second }, from, to, { round }) {
    for (let i = from; i < to; i++) {
      memory.store32(first + i * 4, addressWord(first, i, round));
      memory.store32(second + i * 4, addressWord(second, i, round));
    }
  },
  verify(memory, { first, second }, from, to, state) {
    for (let i = from; i < to; i++) {
      verifyAddress(memory, first, i, state);
      verifyAddress(memory, second, i, state);
    }
  },
};

function verifyAddress(memory: GuestMemory, half: number, index: number, state: PassState): void {
  const address = half + index * 4;
  if (memory.loadI32(address) !== addressWord(half, index, state.round)) {
    recordError(state, address);
  }
}

function addressWord(half: number, index: number, round: number): number {
  const address = (half + index * 4) | 0;
  return ((index + round) & 1) === 0 ? address : ~address;
}

const randomValue: Pass = {
  name: "random value",
  rounds: 1,
  write(memory, { first, second }, from, to, { random }) {
    for (let at = from * 4; at < to * 4; at += 4) {
      const word = nextWord(random);
      memory.store32(first + at, word);
      memory.store32(second + at, word);
    }
  },
  verify: compareHalves,
};

const sequentialIncrement: Pass = {
  name: "sequential increment",
  rounds: 1,
  write(memory, { first, second }, from, to, { operand }) {
    for (let i = from; i < to; i++) {
      memory.store32(first + i * 4, operand + i);
      memory.store32(second + i * 4, operand + i);
    }
  },
  verify: compareHalves,
};

/** 0 … 31 and back. */
function thereAndBack(round: number): number {
  return round < 32 ? round : 63 - round;
}

function spreadBits(round: number): number {
  const bit = thereAndBack(round);
  return (1 << bit) | (bit < 30 ? 1 << (bit + 2) : 0);
}

function flippedBit(round: number): number {
  const word = 1 << (round >> 3);
  return (round & 1) === 0 ? ~word : word;
}

/** The passes of memtester (C. Cazabon), in its order, over 32-bit words. */
export const PASSES: readonly Pass[] = [
  stuckAddress,
  randomValue,
  change("compare XOR", (word, operand) => word ^ operand),
  change("compare SUB", (word, operand) => word - operand),
  change("compare MUL", (word, operand) => Math.imul(word, operand)),
  change("compare DIV", (word, operand) => Math.floor(word / Math.max(1, operand))),
  change("compare OR", (word, operand) => word | operand),
  change("compare AND", (word, operand) => word & operand),
  sequentialIncrement,
  opposed("solid bits", 64, (round) => ((round & 1) === 0 ? -1 : 0)),
  uniform("block sequential", 256, (round) => Math.imul(round, 0x01010101)),
  opposed("checkerboard", 64, (round) => ((round & 1) === 0 ? 0x55555555 : 0xaaaaaaaa)),
  opposed("bit spread", 64, spreadBits),
  opposed("bit flip", 256, flippedBit),
  uniform("walking ones", 64, (round) => ~(1 << thereAndBack(round))),
  uniform("walking zeroes", 64, (round) => 1 << thereAndBack(round)),
  narrow("8-bit writes", (memory, address, word) => {
    for (let byte = 0; byte < 4; byte++) memory.store8(address + byte, word >>> (byte * 8));
  }),
  narrow("16-bit writes", (memory, address, word) => {
    memory.store16(address, word);
    memory.store16(address + 2, word >>> 16);
  }),
];
