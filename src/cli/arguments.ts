import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { MigrationError } from "../failure.js";
import type { GuestOptions } from "../guest/program.js";
import { isRamSize, MAX_VCPUS } from "../memory/geometry.js";
import { MAX_CHANNELS, MAX_DURATION_MS, MAX_ROUNDS } from "../protocol/limits.js";
import { parseAddress, type Address } from "../transport/address.js";
import { parseDuration, parseRate, parseSize } from "../units.js";

/** A command line that cannot be carried out; `detail` says what to write instead. */
export function usage(detail: string): MigrationError {
  return new MigrationError({ code: "USAGE", detail });
}

/**
 * The options of one command as they were written, read into what they mean. Every reader throws `USAGE`
 * for text that makes no sense, and answers undefined for an option that was not given.
 */
export class Arguments {
  constructor(private readonly values: Readonly<Record<string, unknown>>) {}

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    if (Array.isArray(value)) throw usage(`--${name} was given more than once; give it once`);
    if (value === undefined) return undefined;
    const text = typeof value === "string" ? value.trim() : "";
    if (text === "") throw usage(`--${name} needs a value`);
    return text;
  }

  /** `value`, or a complaint that shows what to write. */
  required<Value>(value: Value | undefined, example: string): Value {
    if (value === undefined) throw usage(`an option is missing: give ${example}`);
    return value;
  }

  /** An address to listen on; port 0 asks for a free one. */
  listenAddress(name: string): Address | undefined {
    return this.read(name, parseAddress, "HOST:PORT, as in 127.0.0.1:7000 or [::1]:0");
  }

  /** An address to connect to. */
  peerAddress(name: string): Address | undefined {
    const parse = (text: string) => {
      const address = parseAddress(text);
      return address?.port === 0 ? undefined : address;
    };
    return this.read(name, parse, "HOST:PORT with the port that the other host named");
  }

  /** Guest memory, in bytes. */
  memory(name: string): number | undefined {
    const parse = (text: string) => {
      const bytes = parseSize(text);
      return bytes !== undefined && isRamSize(bytes) ? bytes : undefined;
    };
    return this.read(name, parse, "a size from 64KiB to 4GiB in steps of 64KiB, as in 1GiB");
  }

  /** Bytes per second. */
  rate(name: string): number | undefined {
    const parse = (text: string) => {
      const rate = parseRate(text);
      return rate !== undefined && rate > 0 ? rate : undefined;
    };
    return this.read(name, parse, "a rate, as in 1Gbit or 50MB/s");
  }

  /** Milliseconds to wait or to watch, none among them. A bare number is seconds, as `sleep` takes them. */
  wait(name: string, mostMs = MAX_DURATION_MS): number | undefined {
    const parse = (text: string) => {
      const ms = parseDuration(text, "s");
      return ms !== undefined && ms <= mostMs ? ms : undefined;
    };
    const most = mostMs === MAX_DURATION_MS ? "a day" : `${String(mostMs / 1000)}s`;
    return this.read(name, parse, `a time up to ${most}, as in 500ms, 2s or 2, which is seconds`);
  }

  /**
   * Milliseconds that a migration is held to. They need their unit: other tools count downtime in
   * milliseconds, and whoever means 300 of them must not get 300 seconds.
   */
  limit(name: string): number | undefined {
    const parse = (text: string) => {
      const ms = parseDuration(text);
      return ms !== undefined && ms > 0 && ms <= MAX_DURATION_MS ? ms : undefined;
    };
    return this.read(name, parse, "a time up to a day with its unit, as in 50ms, 30s or 2min");
  }

  /** One of `choices`. */
  oneOf<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const parse = (text: string) => choices.find((choice) => choice === text);
    return this.read(name, parse, `one of ${choices.join(", ")}`);
  }

  /** A share of a guest's time; all of it would be a pause. */
  percent(name: string): number | undefined {
    return this.integer(name, 99);
  }

  rounds(name: string): number | undefined {
    return this.integer(name, MAX_ROUNDS);
  }

  vcpus(name: string): number | undefined {
    return this.integer(name, MAX_VCPUS);
  }

  channels(name: string): number | undefined {
    return this.integer(name, MAX_CHANNELS);
  }

  /** `--set key=value`, as often as there are keys. */
  settings(name: string): GuestOptions {
    const value = this.values[name] ?? [];
    const settings: Record<string, string> = {};
    for (const item of Array.isArray(value) ? value : [value]) {
      const [, key, text] = /^([^=]+)=(.*)$/s.exec(String(item)) ?? [];
      if (key === undefined || text === undefined) {
        throw usage(`--${name} "${String(item)}" is not key=value`);
      }
      if (Object.hasOwn(settings, key)) throw usage(`--${name} ${key} was given more than once`);
      settings[key] = text;
    }
    return settings;
  }

  /** The name of a built-in guest, or the absolute path of a module. */
  program(name: string): string | undefined {
    const text = this.text(name);
    return text === undefined || /^[a-z][a-z0-9-]*$/.test(text) ? text : resolve(text);
  }

  /** The secret in a file, without the newline that editors add. Printable, since HTTP carries it too. */
  token(name: string): string | null {
    const path = this.text(name);
    if (path === undefined) return null;
    const token = readText(path, name).trim();
    if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
    throw usage(
      `--${name} ${path} must hold one line of 1 to 4096 printable characters, no spaces`,
    );
  }

  /** Refuses options that only mean something together with `needed`. */
  onlyWith(needed: string, names: readonly string[]): void {
    if (this.has(needed)) return;
    const stray = names.find((name) => this.has(name));
    if (stray !== undefined) throw usage(`--${stray} means nothing without --${needed}`);
  }

  private integer(name: string, maximum: number): number | undefined {
    const parse = (text: string) => {
      const number = /^\d+$/.test(text) ? Number(text) : 0;
      return number >= 1 && number <= maximum ? number : undefined;
    };
    return this.read(name, parse, `a whole number from 1 to ${String(maximum)}`);
  }

  private read<Value>(
    name: string,
    parse: (text: string) => Value | undefined,
    expected: string,
  ): Value | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined) throw usage(`--${name} "${text}" is not ${expected}`);
    return value;
  }
}

function readText(path: string, name: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw usage(`--${name} ${path} cannot be read: ${cause}`);
  }
}
