import { parseRate, parseSize } from "../units.js";
import { BadSetting, type GuestOptions, type GuestProgram } from "./program.js";

/** Reads the options of one program, falling back to the defaults that its table shows. */
export class Settings {
  constructor(
    private readonly program: Pick<GuestProgram, "name" | "settings">,
    private readonly options: GuestOptions,
  ) {
    for (const key of Object.keys(options)) {
      if (!Object.hasOwn(program.settings, key)) {
        const known = Object.keys(program.settings).join(", ") || "none";
        throw new BadSetting(key, `guest "${program.name}" has no such option; it has: ${known}`);
      }
    }
  }

  text(key: string): string {
    return this.options[key] ?? this.program.settings[key]?.default ?? "";
  }

  number(key: string, minimum: number, maximum: number): number {
    const value = Number(this.text(key));
    return this.within(key, Number.isNaN(value) ? undefined : value, minimum, maximum);
  }

  integer(key: string, minimum: number, maximum: number): number {
    const value = this.number(key, minimum, maximum);
    if (!Number.isInteger(value)) throw new BadSetting(key, "must be a whole number");
    return value;
  }

  bytes(key: string, minimum: number, maximum: number): number {
    return this.within(key, parseSize(this.text(key)), minimum, maximum);
  }

  choice<Choice extends string>(key: string, choices: readonly Choice[]): Choice {
    const text = this.text(key);
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new BadSetting(key, `must be one of ${choices.join(", ")}`);
    return found;
  }

  /**
   * Units of `unitBytes` per second: `500` or `500pages/s` counts units, `2MB/s` or `16Mbit/s` counts
   * bytes; `max` is undefined.
   */
  unitRate(key: string, unitBytes: number): number | undefined {
    const text = this.text(key);
    if (text === "max") return undefined;
    const units = /^(\d+(?:\.\d+)?)\s*(?:pages\/s|ops\/s|\/s)?$/.exec(text)?.[1];
    const bytes = units === undefined ? parseRate(text) : Number(units) * unitBytes;
    return this.within(key, bytes, 1, Number.MAX_SAFE_INTEGER) / unitBytes;
  }

  private within(key: string, value: number | undefined, minimum: number, maximum: number): number {
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    const range = `a value from ${String(minimum)} to ${String(maximum)}`;
    throw new BadSetting(key, `"${this.text(key)}" is not ${range}`);
  }
}
