/** Limits on what the network may say. Everything is held against one of these before it is used. */

/** The first frame of a connection comes from a stranger: a hello with options and a token fits easily. */
export const MAX_GREETING_BYTES = 64 * 1024;

/**
 * Any other control message. The largest is a switchover: 128 KiB of dirty bitmap for 4 GiB of memory and
 * 64 KiB of CPU state for each of 8 vCPUs; a report with its throughput chart stays below as well.
 */
export const MAX_CONTROL_BYTES = 4 * 1024 * 1024;

/** Maps and arrays within one another in a message: more than any CPU state needs, and no deep stack. */
export const MAX_NESTING = 64;

/** CPU state of one vCPU. */
export const MAX_CPU_STATE_BYTES = 64 * 1024;

/** A dirty bitmap of 4 GiB in 4 KiB pages. */
export const MAX_BITMAP_BYTES = 128 * 1024;

/** Pages with contents in one page frame: 1 MiB, where throughput on a loopback levels off. */
export const MAX_DATA_PAGES = 256;

/** Runs in one page frame: as many as if every second page of it were of another kind. */
export const MAX_RUNS = 512;

/** Pages that one frame may describe in all, zero and unchanged ones included: a guest of 4 GiB. */
export const MAX_DESCRIBED_PAGES = 1024 * 1024;

/** Pages that one `torn` frame names: no more than one page frame holds. */
export const MAX_TORN_PAGES = MAX_DATA_PAGES;

/** Any frame from a destination's channel: what it says instead of taking a connection is the longest. */
export const MAX_ANSWER_BYTES = 16 * 1024;

/** Bulk channels of one migration; more than cores only queue for them. */
export const MAX_CHANNELS = 16;

/** Passes over a running guest; Xen makes 29, and a guest that has not converged by then does not. */
export const MAX_ROUNDS = 1000;

/** Passes that a report tells of: those, and two over a guest that stands still. */
export const MAX_PASSES = MAX_ROUNDS + 2;

/** The longest time that anybody may ask for: a day. */
export const MAX_DURATION_MS = 24 * 60 * 60 * 1000;

/** Guests that a host receives at the same time. */
export const MAX_INCOMING = 4;

/** Bytes of one probe of the link: a quarter of a second at 2 Gbit/s, and none of them is kept. */
export const MAX_PROBE_BYTES = 64 * 1024 * 1024;

/** Probes that a host answers at the same time, so that they stay a small part of what a link carries. */
export const MAX_PROBES = 2;

/** A probe that is not whole by then is answered with what came: even a slow link shows its rate in it. */
export const PROBE_TIMEOUT_MS = 5_000;

/** A stranger has this long to say who it is. */
export const GREETING_TIMEOUT_MS = 10_000;

/**
 * A destination that is there but for so long does nothing of what is due from it before the handover is given up: the guest stays. As
 * long as one that answers no pings.
 */
export const STALL_TIMEOUT_MS = 10_000;

/** To pass the barrier behind what a system holds back for one connection: some megabytes, at 1 Mbit/s. */
export const BARRIER_TIMEOUT_MS = 60_000;

/**
 * What is left of a migration when every page is there are two reports: a peer that owes one for so long is not waited for.
 */
export const REPORT_TIMEOUT_MS = 10_000;

/**
 * A destination has this long to say that it runs a guest that was handed over. The guest stands still meanwhile; then
 * the source is in doubt, and asks.
 */
export const RUNNING_TIMEOUT_MS = 10_000;
