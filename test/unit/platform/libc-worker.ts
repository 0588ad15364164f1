import { parentPort } from "node:worker_threads";
import { libc } from "../../../src/platform/libc.js";

/** Says whether it is given the C library. */
parentPort?.postMessage(libc() !== undefined);
