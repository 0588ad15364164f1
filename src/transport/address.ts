import { BlockList, isIP } from "node:net";

/** Where a host listens or is reached. Port 0 asks for any free port. */
export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Reads `HOST:PORT`; an IPv6 address stands in brackets, as in `[::1]:7000`. Undefined when `text` is neither. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([\w.-]+)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const host = bracketed ?? plain ?? "";
  const port = Number(digits);
  if (bracketed !== undefined && isIP(bracketed) !== 6) return undefined;
  return port <= 65535 ? { host, port } : undefined;
}

/** The text that `parseAddress` reads. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}

/** Whether `host` is this machine for this machine only, so that no other can reach a listener on it. */
export function isLoopback(host: string): boolean {
  switch (isIP(host)) {
    case 4:
      return loopback.check(host, "ipv4");
    case 6:
      return loopback.check(host, "ipv6");
    default:
      return host.toLowerCase() === "localhost";
  }
}
