import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { RAM_GRAIN_BYTES } from "../memory/geometry.js";
import { GuestRam } from "../memory/ram.js";
import { FIRST_EPOCH } from "../memory/words.js";
import { Loopback } from "../transport/loopback.js";
import { toNobody } from "./nobody.js";
import { NobodysDeparture } from "./nobodys-departure.js";

/** Enough for the compiler to take the path of a request seriously. */
const REQUESTS = 400;
/** Each has departures of its own: V8 sees how they begin, once it knows what becomes of them. */
const ROUNDS = 8;
/** After so many nearly all that runs in a pass and in stage three is compiled. */
const TURNS_OF_ROUND = 8;
const REQUESTS_OF_TURN = 20;
/** So many kinds V8 does not tell apart any more. */
const KINDS = 6;
/** By turns, they keep V8 from taking what it has seen of one of them for all that there is. */
const DEPARTURES = 2;
const RAM_BYTES = 2 ** 20;

/** What a thread goes through while it waits for a seat; nothing where the machine lets nobody connect to itself. */
export async function* rehearsal(): AsyncGenerator<void> {
  const loopback = await Loopback.open().catch(() => undefined);
  if (loopback === undefined) return;
  try {
    const ram = writtenRam(RAM_BYTES);
    for (let round = 0; round < ROUNDS; round += 1) yield* depart(ram, loopback);
  } finally {
    loopback.close();
  }
}

/** Guests of nobody leave from their first pass on, by turns. */
async function* depart(ram: GuestRam, loopback: Loopback): AsyncGenerator<void> {
  const departures: NobodysDeparture[] = [];
  try {
    for (let kind = 0; kind < DEPARTURES; kind += 1) {
      const dest = await loopback.attach();
      departures.push(new NobodysDeparture(ram, kind, dest, await loopback.attach()));
    }
    for (let turn = 0; turn < TURNS_OF_ROUND; turn += 1) {
      for (const departure of departures) {
        await departure.pass();
        for (let request = 0; request < REQUESTS_OF_TURN; request += 1) departure.answer();
        await departure.push();
      }
      yield;
    }
  } finally {
    for (const departure of departures) departure.end();
  }
}

/**
 * Answers requests for pages of nobody's guest. Code that runs for the first time takes a millisecond where it takes
 * a tenth of one later, and the first request is the one that a guest's downtime waits for. The page kernels, which
 * V8 compiles well only once they have run some hundred times in a process, are rehearsed with it.
 */
export function rehearseRequests(): void {
  const fd = openSync(devNull, "w");
  const ram = writtenRam(RAM_GRAIN_BYTES);
  const nobodys = Array.from(
    { length: KINDS },
    (_, kind) => new NobodysDeparture(ram, kind, toNobody(fd), toNobody(fd)),
  );
  for (let request = 0; request < REQUESTS; request += 1) nobodys[request % KINDS]?.answer();
  closeSync(fd);
}

function writtenRam(byteLength: number): GuestRam {
  const ram = GuestRam.allocate(byteLength, 1);
  new Uint8Array(ram.buffer).fill(1);
  ram.stamps.fill(FIRST_EPOCH);
  return ram;
}
