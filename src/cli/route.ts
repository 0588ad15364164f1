import { type Address, formatAddress } from "../transport/address.js";
import type { Arguments } from "./arguments.js";
import { valued } from "./options.js";

/** Which host to ask, and about which of its guests. */
export const GUEST_OPTIONS = {
  from: valued("HOST:PORT for control of the host that has the guest (required)"),
  guest: valued("Id of the guest, if the host has several"),
};

/** From which host a guest goes, and whereto. */
export const ROUTE_OPTIONS = {
  ...GUEST_OPTIONS,
  to: valued("HOST:PORT where the destination listens (required)"),
};

/** The host to ask. Throws USAGE. */
export function readFrom(args: Arguments): Address {
  return args.required(args.peerAddress("from"), "--from HOST:PORT");
}

/** The host to ask, and what to ask of it. Throws USAGE. */
export function readRoute(args: Arguments): {
  readonly from: Address;
  readonly route: { readonly to: string; readonly guestId: string | undefined };
} {
  const from = readFrom(args);
  const to = formatAddress(args.required(args.peerAddress("to"), "--to HOST:PORT"));
  return { from, route: { to, guestId: args.text("guest") } };
}
