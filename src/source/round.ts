import { PAGE_BYTES } from "../memory/geometry.js";
import type { GuestRam } from "../memory/ram.js";
import { MAX_DATA_PAGES } from "../protocol/limits.js";
import { PURPOSE } from "../protocol/pages.js";
import type { ChannelCommand } from "./channel-contract.js";
import type { MigrationTables } from "./migration-tables.js";
import type { PageSender } from "./page-sender.js";
import { FRAME_MS, type RateLimit } from "./rate-limit.js";

/** Pages that a channel takes on at once. */
const CHUNK_PAGES = MAX_DATA_PAGES;

/**
 * One channel's part of a round: a pass over the planned pages, which carry one mark from before it
 * began. A page that the guest has written since is skipped when its turn comes, as in Xen: it is
 * dirty anyway, and the next round may find it at rest.
 *
 * Few pages may be planned, so a frame is filled from as many chunks as it takes.
 */
export class Round {
  private readonly framePages: number;

  constructor(
    private readonly command: ChannelCommand & { type: "round" },
    private readonly ram: GuestRam,
    private readonly tables: MigrationTables,
    private readonly sender: PageSender,
    private readonly limit: RateLimit,
  ) {
    this.framePages = limit.framePages(FRAME_MS.pass);
  }

  async run(): Promise<void> {
    const { counters } = this.tables;
    const chunkCount = Math.ceil(this.ram.pageCount / CHUNK_PAGES);
    await this.turn();
    for (;;) {
      const chunk = counters.add("nextChunk", 1);
      if (chunk >= chunkCount) break;
      await this.send(chunk);
    }
    this.flush();
    this.sender.barrier(this.command.pass);
  }

  private async send(chunk: number): Promise<void> {
    const { ram, tables, sender, framePages } = this;
    const { skipSince } = this.command;
    const firstPage = chunk * CHUNK_PAGES;
    const end = Math.min(firstPage + CHUNK_PAGES, ram.pageCount);
    let passed = 0;
    let skipped = 0;
    for (let page = firstPage; page < end; page += 1) {
      if (!tables.planned.has(page)) continue;
      passed += 1;
      if ((ram.stamps[page] ?? 0) >= skipSince) {
        skipped += 1;
        continue;
      }
      // Before it is sent: what the destination says of it comes after.
      tables.resend.take(page);
      sender.add(page, false);
      if (sender.hasRoom && sender.dataPages < framePages) continue;
      this.flush();
      // With no page in hand, since one that waits may be written meanwhile.
      await this.turn();
    }
    tables.counters.add("skippedPages", skipped);
    tables.counters.add("pagesPassed", passed);
  }

  private async turn(): Promise<void> {
    await this.sender.ready();
    await this.limit.ready(this.framePages * PAGE_BYTES);
  }

  private flush(): void {
    this.limit.charge(this.sender.flush(PURPOSE.PASS, this.command.pass));
  }
}
