import { DEST_CHANNEL_ENTRY } from "../dest/channel-set.js";
import { VCPU_ENTRY } from "../guest/guest.js";
import { rehearsal } from "../dest/take-over.js";
import { goThrough, type Steps } from "../platform/steps.js";
import { dropSpares, keepSpares } from "../platform/spare-threads.js";
import { SOURCE_CHANNEL_ENTRY } from "../source/channel-pool.js";

/** Threads of the urgent channel, on either side. */
const URGENT = 1;

/** What a host is ready for: an empty one for a guest to come, one with a guest for it to leave. */
export type Expects = "arrival" | "departure" | "nothing";

/**
 * Has the threads of the next migration started before it begins, since it would wait for them. They are those
 * of one migration, in the direction that is likely, so a host keeps at most as many as the one needs. A host that waits
 * for its first guest also goes through its own part of an arrival.
 */
export class Readiness {
  private hasRehearsed = false;

  /** `channelCount` is how many bulk channels a migration is likely to have. */
  constructor(
    private readonly channelCount: number,
    private readonly arrival: () => Steps = rehearsal,
  ) {}

  /** To be called while no migration is under way. */
  expect(what: Expects): void {
    const channels = this.channelCount + URGENT;
    if (what === "departure") keepSpares(SOURCE_CHANNEL_ENTRY, channels);
    else void dropSpares(SOURCE_CHANNEL_ENTRY);
    if (what === "arrival") {
      keepSpares(DEST_CHANNEL_ENTRY, channels);
      keepSpares(VCPU_ENTRY, 1);
      this.rehearse();
    } else {
      void dropSpares(DEST_CHANNEL_ENTRY);
      void dropSpares(VCPU_ENTRY);
    }
  }

  private rehearse(): void {
    if (this.hasRehearsed) return;
    this.hasRehearsed = true;
    void goThrough(this.arrival());
  }
}
