import net from "node:net";
import { MigrationError } from "../failure.js";
import { type Address, formatAddress } from "./address.js";
import { type InPlaceSink, readInto } from "./in-place.js";

const CONNECT_TIMEOUT_MS = 10_000;

/** A TCP connection to `address`, whose bytes go to `sink` if there is one. Rejects with CANNOT_CONNECT. */
export function connect(address: Address, sink?: InPlaceSink): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = address;
    const reading = sink === undefined ? {} : { onread: readInto(sink) };
    const socket = net.connect({ host, port, noDelay: true, ...reading });
    const refuse = (cause: string) => {
      socket.destroy();
      const where = formatAddress(address);
      reject(new MigrationError({ code: "CANNOT_CONNECT", address: where, cause }));
    };
    const timer = setTimeout(() => {
      refuse(`no answer within ${String(CONNECT_TIMEOUT_MS / 1000)} s`);
    }, CONNECT_TIMEOUT_MS);
    socket.once("error", (error) => {
      clearTimeout(timer);
      refuse(error.message);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}
