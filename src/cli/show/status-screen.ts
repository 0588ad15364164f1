import type { GuestStatus, HostStatus } from "../../host/events.js";
import { formatBytes, formatCount } from "../../units.js";
import { columns } from "./columns.js";
import { formatOps, printable, sentenceOf } from "./sentences.js";
import type { Style } from "./style.js";

/** A host as `tristage status` shows it: its addresses, its guests, the migrations under way. */
export function statusScreen(status: HostStatus, style: Style): string[] {
  const { host, version, pid, address, control, guests, migrations } = status;
  const receives = address === null ? "" : `, migrations ${address}`;
  const title = printable(`host ${host}, pid ${String(pid)}, tristage ${version}`);
  return [
    style("bold", title),
    printable(`  control ${control}${receives}`),
    ...(guests.length === 0 ? ["  no guests"] : columns([HEADINGS, ...guests.map(cellsOf)])),
    ...migrations.flatMap(({ progress, ...phase }) => [
      `  ${phase.direction}: ${sentenceOf(phase)}`,
      ...(progress === null ? [] : [`    ${sentenceOf(progress)}`]),
    ]),
  ];
}

const HEADINGS = ["guest", "id", "state", "memory", "vCPUs", "generation", "done", "pace"];

function cellsOf(guest: GuestStatus): string[] {
  return [
    printable(guest.guest),
    printable(guest.guestId),
    guest.state,
    formatBytes(guest.memoryBytes),
    String(guest.vcpuCount),
    String(guest.generation),
    formatCount(guest.operations).trimEnd(),
    formatOps(guest.operationsPerSecond),
  ];
}
