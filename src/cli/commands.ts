import type { Command } from "./commands/command.js";

/** One line of the list of commands, and the command itself. */
interface Entry {
  /** For the list of commands. */
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** Every command. Each is loaded when it is named, so that none waits for what only another needs. */
export const COMMANDS: Readonly<Record<string, Entry>> = {
  dest: {
    summary: "Receive guests and run them",
    load: async () => (await import("./commands/dest.js")).dest,
  },
  source: {
    summary: "Run a guest, and migrate it when asked to",
    load: async () => (await import("./commands/source.js")).source,
  },
  migrate: {
    summary: "Migrate a guest from one host to another",
    load: async () => (await import("./commands/migrate.js")).migrate,
  },
  cancel: {
    summary: "Cancel the migration of a guest before it is handed over; the guest stays",
    load: async () => (await import("./commands/cancel.js")).cancel,
  },
  estimate: {
    summary: "Predict what a migration would cost, without making one",
    load: async () => (await import("./commands/estimate.js")).estimate,
  },
  status: {
    summary: "Show your hosts on this machine, or one anywhere, and their guests",
    load: async () => (await import("./commands/status.js")).status,
  },
  pause: {
    summary: "Stop a guest where it is",
    load: async () => (await import("./commands/pause.js")).pause,
  },
  resume: {
    summary: "Let a paused guest go on, or one in doubt that runs nowhere else",
    load: async () => (await import("./commands/resume.js")).resume,
  },
  discard: {
    summary: "End a paused or crashed guest for good, and free its memory",
    load: async () => (await import("./commands/discard.js")).discard,
  },
  guests: {
    summary: "List the built-in guests and their settings",
    load: async () => (await import("./commands/guests.js")).guests,
  },
};
