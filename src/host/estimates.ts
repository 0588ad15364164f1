import { estimate } from "../source/estimate/estimate.js";
import type { HostContext } from "./context.js";
import type { Departures } from "./departures.js";
import type { EstimateEvent } from "./events.js";
import { freeMemorySoon } from "./free-memory.js";
import { requirePeer } from "./peer-address.js";
import { DEFAULT_ESTIMATE_MS, type EstimateRequest } from "./service.js";

/** Rejects with USAGE, GUEST_NOT_HERE or GUEST_BUSY, or as `probeLink` does. */
export async function estimateFor(
  context: HostContext,
  departures: Departures,
  request: EstimateRequest,
): Promise<EstimateEvent> {
  const { clock, token } = context;
  const to = requirePeer(request.to);
  const resident = context.pick(request.guestId);
  // Where pages are still missing their stamps say so, and not when they were written.
  resident.require("running", "migrating", "paused");
  const { guest, heat } = resident;
  const { guestId, name } = guest.spec;
  const durationMs = request.durationMs ?? DEFAULT_ESTIMATE_MS;
  const manners = departures.probeBeside(request.maxBandwidth);
  const link = { to, token, ...manners };
  const found = await estimate(guest.ram, heat, link, durationMs, clock).finally(() => {
    manners.end();
    // It was held here when the guest left.
    if (!context.residents.has(guestId)) freeMemorySoon(guest.ram);
  });
  const { heldTo } = manners;
  return { event: "estimate", guestId, guest: name, to: request.to, heldTo, ...found };
}
