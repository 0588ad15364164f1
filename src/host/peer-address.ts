import { MigrationError } from "../failure.js";
import { type Address, parseAddress } from "../transport/address.js";

/** Where another host listens. Throws USAGE. */
export function requirePeer(text: string): Address {
  const address = parseAddress(text);
  if (address !== undefined && address.port !== 0) return address;
  throw new MigrationError({ code: "USAGE", detail: `"${text}" is not HOST:PORT` });
}
