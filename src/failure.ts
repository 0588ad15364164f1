import { formatBytes } from "./units.js";

/** What can go wrong outside this process. Plain data: it survives wire, threads and logs. */
export type Failure =
  // The wire
  | { readonly code: "NOT_TRISTAGE"; readonly found: number }
  | { readonly code: "FRAME_TOO_LARGE"; readonly lengthBytes: number; readonly limitBytes: number }
  | { readonly code: "FRAME_UNKNOWN"; readonly type: number }
  | { readonly code: "FRAME_TRUNCATED"; readonly missingBytes: number }
  | { readonly code: "FRAME_OUT_OF_ORDER"; readonly sequence: number; readonly expected: number }
  | { readonly code: "FRAME_MALFORMED"; readonly frame: string; readonly detail: string }
  | { readonly code: "MESSAGE_MALFORMED"; readonly message: string; readonly detail: string }
  | { readonly code: "MESSAGE_UNEXPECTED"; readonly message: string; readonly phase: string }
  | { readonly code: "VERSION_UNSUPPORTED"; readonly theirs: number; readonly ours: number }
  | { readonly code: "PAGE_OUT_OF_RANGE"; readonly pageIndex: number; readonly pageCount: number }
  | { readonly code: "PAGE_CORRUPT"; readonly pageIndex: number }
  // The peer and the connections to it
  | { readonly code: "TOKEN_WRONG" }
  | { readonly code: "SESSION_UNKNOWN" }
  | { readonly code: "CHANNEL_TAKEN"; readonly channel: string }
  | { readonly code: "CHANNEL_UNKNOWN"; readonly channel: string }
  | { readonly code: "CANNOT_CONNECT"; readonly address: string; readonly cause: string }
  | { readonly code: "CONNECTION_LOST"; readonly connection: string; readonly cause: string }
  | { readonly code: "PEER_SILENT"; readonly connection: string; readonly silentMs: number }
  | { readonly code: "PEER_STALLED"; readonly awaited: string; readonly waitedMs: number }
  | { readonly code: "PEER_FAILED"; readonly peerCode: string; readonly text: string }
  // This host
  | { readonly code: "CANNOT_LISTEN"; readonly address: string; readonly cause: string }
  | { readonly code: "CANNOT_ACCEPT"; readonly address: string; readonly cause: string }
  | { readonly code: "LISTENS_OPENLY"; readonly address: string }
  | { readonly code: "HOST_FULL"; readonly limit: number }
  | { readonly code: "PROBES_FULL"; readonly limit: number }
  | { readonly code: "GEOMETRY_REFUSED"; readonly detail: string }
  | {
      readonly code: "MEMORY_SHORT";
      readonly wantedBytes: number;
      readonly availableBytes: number;
    }
  | { readonly code: "JOURNAL_UNUSABLE"; readonly path: string; readonly cause: string }
  | { readonly code: "JOURNAL_IN_USE"; readonly path: string }
  | { readonly code: "THREADS_SHORT"; readonly cause: string }
  | { readonly code: "THREAD_DIED"; readonly thread: string; readonly cause: string }
  | { readonly code: "UNSUPPORTED_NODE"; readonly detail: string }
  // Guests
  | { readonly code: "GUEST_UNKNOWN"; readonly name: string; readonly known: readonly string[] }
  | { readonly code: "GUEST_MODULE_MISSING"; readonly path: string }
  | { readonly code: "GUEST_MODULE_INVALID"; readonly path: string; readonly detail: string }
  | { readonly code: "GUEST_MODULE_DIFFERS"; readonly path: string }
  | {
      readonly code: "GUEST_THREW";
      readonly guest: string;
      readonly during: "boot" | "step";
      readonly text: string;
    }
  | { readonly code: "CPU_STATE_REFUSED"; readonly guest: string; readonly detail: string }
  | { readonly code: "GUEST_SETTING"; readonly guest: string; readonly text: string }
  | { readonly code: "GUEST_NOT_HERE"; readonly guestId: string }
  | { readonly code: "GUEST_NOT_LEAVING"; readonly guestId: string }
  | { readonly code: "GUEST_BUSY"; readonly guestId: string; readonly state: BusyState }
  | { readonly code: "GUEST_OWNED_HERE"; readonly guestId: string; readonly generation: number }
  | { readonly code: "MIGRATION_UNKNOWN"; readonly migrationId: string }
  // Choices of people
  | { readonly code: "USAGE"; readonly detail: string }
  | { readonly code: "CANCELLED"; readonly by: string };

export type FailureCode = Failure["code"];

/** Why a guest cannot do now what somebody asks of it, and what to do instead. */
const BUSY = {
  booting: "still booting; wait until it runs",
  running: "running; pause it first",
  paused: "paused; resume it first",
  migrating: "migrating; wait for the report, or cancel the migration",
  arriving: "still arriving; wait until it is whole here",
  leaving: "leaving, and its migration has not ended; wait for the report",
  handedOver: "past the switchover, so it can no longer be cancelled; wait for the report",
  handingOver:
    "being handed over, and no probe of the link may delay its pages; wait for the report",
  inDoubt:
    "in doubt, since its other host may own it; make sure that it does not run there, then tristage resume --in-doubt lets it go on here, and discard --force ends it for good",
  stranded:
    "stranded between two hosts, and lacks pages for good; tristage discard --force ends it on either host",
  crashed:
    "crashed, and does not run again; correct its program or its settings, start it anew, and discard this one",
} as const;

export type BusyState = keyof typeof BUSY;

/** An error only carries a failure; match on `failure.code`, never on the text. */
export class MigrationError extends Error {
  override readonly name = "MigrationError";
  constructor(
    readonly failure: Failure,
    options?: ErrorOptions,
  ) {
    super(describe(failure), options);
  }
}

/** The failure that `error` carries. Anything else is a bug of ours and is thrown again. */
export function failureOf(error: unknown): Failure {
  if (error instanceof MigrationError) return error.failure;
  throw error;
}

/** One or two sentences: what happened, and what to do. */
export function describe(failure: Failure): string {
  switch (failure.code) {
    case "NOT_TRISTAGE":
      return `the other side does not speak tristage's protocol (it began with 0x${failure.found.toString(16)}); check host and port`;
    case "FRAME_TOO_LARGE":
      return `a frame of ${formatBytes(failure.lengthBytes)} came, and at most ${formatBytes(failure.limitBytes)} are accepted; check that both sides run the same release`;
    case "FRAME_UNKNOWN":
      return `a frame of unknown type 0x${failure.type.toString(16)} came; check that both sides run the same release`;
    case "FRAME_TRUNCATED":
      return `the connection ended inside a frame, ${String(failure.missingBytes)} bytes short: the other side died or the link broke; look at that host and at the link`;
    case "FRAME_OUT_OF_ORDER":
      return `frame ${String(failure.sequence)} came where frame ${String(failure.expected)} was due; something between the hosts drops or repeats data, so look for a proxy or a tunnel there`;
    case "FRAME_MALFORMED":
      return `a ${failure.frame} frame makes no sense: ${failure.detail}; check that both sides run the same release`;
    case "MESSAGE_MALFORMED":
      return `the message "${failure.message}" makes no sense: ${failure.detail}; check that both sides run the same release`;
    case "MESSAGE_UNEXPECTED":
      return `the message "${failure.message}" may not come in phase "${failure.phase}"; check that both sides run the same release`;
    case "VERSION_UNSUPPORTED":
      return `the other side speaks protocol version ${String(failure.theirs)}, this one speaks ${String(failure.ours)}; update the older of the two`;
    case "PAGE_OUT_OF_RANGE":
      return `page ${String(failure.pageIndex)} was named, but the guest has ${String(failure.pageCount)} pages; check that both sides run the same release`;
    case "PAGE_CORRUPT":
      return `page ${String(failure.pageIndex)} failed its checksum twice; check the memory and the network of both hosts`;
    case "TOKEN_WRONG":
      return "the token does not match; give both hosts the same --token-file";
    case "SESSION_UNKNOWN":
      return "no migration with this id and session is under way here; start it again from the source";
    case "CHANNEL_TAKEN":
      return `channel "${failure.channel}" of this migration is already connected; a second connection may not claim it`;
    case "CHANNEL_UNKNOWN":
      return `this migration has no channel "${failure.channel}"; check that both sides run the same release`;
    case "CANNOT_CONNECT":
      return `cannot connect to ${failure.address}: ${failure.cause}; check that a host listens there and that no firewall is between`;
    case "CONNECTION_LOST":
      return `the ${failure.connection} connection broke: ${failure.cause}; see whether the host on its other side still runs, and the link to it`;
    case "PEER_SILENT":
      return `nothing was heard on the ${failure.connection} connection for ${(failure.silentMs / 1000).toFixed(1)} s: the other side hangs or the link is down; see whether that host still answers`;
    case "PEER_STALLED":
      return `the other side is connected, but has not done for ${(failure.waitedMs / 1000).toFixed(1)} s what is due from it: ${failure.awaited}; see what keeps that host: its memory, its disk or its log may tell`;
    case "PEER_FAILED":
      return `the other side says: ${failure.text}`;
    case "CANNOT_LISTEN":
      return `cannot listen on ${failure.address}: ${failure.cause}; choose another address, or port 0 for any free port`;
    case "CANNOT_ACCEPT":
      return `a connection to ${failure.address} could not be taken: ${failure.cause}; end what this host need not do, or raise its limit of open files`;
    case "LISTENS_OPENLY":
      return `${failure.address} is reachable from other machines; give --token-file, or --insecure to accept anyone`;
    case "HOST_FULL":
      return `this host already receives ${String(failure.limit)} guests; try again when one has arrived`;
    case "PROBES_FULL":
      return `this host already answers ${String(failure.limit)} probes of its link; try again in a moment`;
    case "GEOMETRY_REFUSED":
      return `the guest's geometry is refused: ${failure.detail}; choose other --memory or --vcpus, or check that both sides run the same release`;
    case "MEMORY_SHORT":
      return `the guest needs ${formatBytes(failure.wantedBytes)} and this host has ${formatBytes(failure.availableBytes)} to give; free memory here or choose a larger host`;
    case "JOURNAL_UNUSABLE":
      return `the ownership journal ${failure.path} cannot be used: ${failure.cause}; give another --state-dir`;
    case "JOURNAL_IN_USE":
      return `another host is using the ownership journal ${failure.path}; end that host, or give this one another --listen address or --state-dir`;
    case "THREADS_SHORT":
      return `the system starts no more threads for this host: ${failure.cause}; raise its limit of processes, or end guests that need not be here`;
    case "THREAD_DIED":
      return `the ${failure.thread} thread ended unexpectedly: ${failure.cause}; see whether memory ran out, and the log for more`;
    case "UNSUPPORTED_NODE":
      return `this release of Node.js cannot carry page data: ${failure.detail}; use a release from 20.19 on`;
    case "GUEST_UNKNOWN":
      return `there is no guest named "${failure.name}"; built in are ${failure.known.join(", ")}, and a path to a module works too`;
    case "GUEST_MODULE_MISSING":
      return `the guest module ${failure.path} cannot be read; it must stand at the same path on both hosts`;
    case "GUEST_MODULE_INVALID":
      return `the guest module ${failure.path} is not a guest program: ${failure.detail}; see the example in examples/`;
    case "GUEST_MODULE_DIFFERS":
      return `the guest module ${failure.path} here differs from the source's; copy the same file to both hosts`;
    case "GUEST_THREW":
      return `guest "${failure.guest}" threw in ${failure.during}: ${failure.text}; correct its program or its settings`;
    case "CPU_STATE_REFUSED":
      return `guest "${failure.guest}" cannot move: a CPU state of it ${failure.detail}; its program must keep whatever is large in guest memory, and plain data in the CPU state`;
    case "GUEST_SETTING":
      return `guest "${failure.guest}": ${failure.text}`;
    case "GUEST_NOT_HERE":
      return `no guest ${failure.guestId} is on this host; "tristage status" lists those that are`;
    case "GUEST_NOT_LEAVING":
      return `guest ${failure.guestId} is not about to leave; "tristage status" lists the migrations under way`;
    case "GUEST_BUSY":
      return `guest ${failure.guestId} is ${BUSY[failure.state]}`;
    case "MIGRATION_UNKNOWN":
      return `no migration ${failure.migrationId} leaves this host; "tristage status" lists those that do`;
    case "GUEST_OWNED_HERE":
      return `generation ${String(failure.generation)} of guest ${failure.guestId} is here, on its way here, or was given away or refused here; migrate it from where it runs now, once more if it was refused`;
    case "USAGE":
      return failure.detail;
    case "CANCELLED":
      return `the migration was cancelled by ${failure.by}`;
  }
}
