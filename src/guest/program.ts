import type { GuestMemory } from "../memory/access.js";

/** Options as the user gave them: `--set key=value`. */
export type GuestOptions = Readonly<Record<string, string>>;

/** One option of a program, for `tristage guests` and for checking `--set`. */
export interface GuestSetting {
  readonly summary: string;
  /** As the user would write it; shown, and used where the option is not given. */
  readonly default: string;
}

/**
 * A guest: a deterministic program with memory and a small CPU state per vCPU.
 *
 * The same options, memory size, number of vCPUs and number of operations per vCPU give the same
 * memory and the same CPU states, byte for byte, however the vCPUs interleave. So each vCPU writes
 * only to memory of its own, or in ways that commute.
 *
 * So a step uses only arithmetic whose result the language fixes: `Math.sin`, `Math.pow` and their kind
 * may differ in the last digit from one release of Node.js to another.
 *
 * `Cpu` is plain data (numbers, strings, arrays, plain objects): it travels in the switchover message,
 * whose limit is 64 KiB per vCPU.
 */
export interface GuestProgram<Cpu extends object = object> {
  readonly name: string;
  readonly summary: string;
  readonly settings: Readonly<Record<string, GuestSetting>>;
  /**
   * Fills fresh (zero) memory and returns the CPU state of each vCPU. Called once, on the host where
   * the guest is born, before any vCPU runs. Throws `BadSetting` for an option it cannot use.
   */
  boot(memory: GuestMemory, options: GuestOptions, vcpuCount: number): readonly Cpu[];
  /**
   * Runs at least one and at most `operations` operations and returns how many; changes `cpu` in
   * place. Leaves no state outside `memory` and `cpu`, and keeps neither: the next call may come with another `memory`.
   * It is called with `operations` chosen so that a call takes 50–200 µs, since between calls the vCPU passes a
   * safepoint; before it is handed over, with one.
   */
  step(memory: GuestMemory, cpu: Cpu, operations: number): number;
  /**
   * The pace of the whole guest, in operations per second, where its options limit it; undefined lets
   * it run as fast as it can.
   */
  operationsPerSecond?(options: GuestOptions): number | undefined;
}

/** An option of a guest that is unknown or makes no sense. */
export class BadSetting extends Error {
  override readonly name = "BadSetting";
  constructor(
    readonly setting: string,
    readonly detail: string,
  ) {
    super(`--set ${setting}: ${detail}`);
  }
}
