import type { Clock } from "../clock.js";
import { openEpoch } from "../memory/epoch.js";
import type { GuestRam } from "../memory/ram.js";
import { GUEST_WORDS } from "../memory/words.js";
import { EpochHistory, type EpochOpening } from "./epoch-history.js";
import { RewriteWatch } from "./rewrite-watch.js";

const TICK_MS = 20;
/** Half of all epochs are left to migrations; at this pace it takes 248 days. A guest that moves begins anew. */
const LAST_EPOCH = 2 ** 30;
/** A page that was written within this time is being rewritten. */
const REWRITTEN_MS = 640;

/**
 * Opens epochs at a steady pace while a guest runs, so that its stamps tell when each page was last written. A
 * migration then knows from its first chunk on which pages are hot, and what the guest changes of them. Nobody waits for these epochs.
 */
export class HeatClock {
  private readonly history = new EpochHistory();
  private readonly rewrites: RewriteWatch;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly ram: GuestRam,
    private readonly clock: Clock,
  ) {
    this.rewrites = new RewriteWatch(ram);
    this.tick();
    this.timer = setInterval(() => {
      this.tick();
    }, TICK_MS);
    this.timer.unref();
  }

  /** The epochs of the last minute or so, oldest first. */
  entries(): readonly EpochOpening[] {
    return this.history.entries();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private tick(): void {
    // From then on nothing is known to be hot, and pages that are written all the time cross twice.
    if (Atomics.load(this.ram.words, GUEST_WORDS.EPOCH) >= LAST_EPOCH) return;
    const nowMs = this.clock.nowMs();
    this.history.note(openEpoch(this.ram.words), nowMs);
    this.rewrites.turn(this.history.firstSince(nowMs - REWRITTEN_MS));
  }
}
