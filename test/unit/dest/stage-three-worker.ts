import { parentPort, workerData } from "node:worker_threads";
import { ArrivalTables, type ArrivalTablesHandle } from "../../../src/dest/arrival-tables.js";

/** Enters stage three, with one page missing, when it is told to. */
const tables = new ArrivalTables(workerData as ArrivalTablesHandle);
parentPort?.once("message", () => {
  tables.enterStageThree(1);
});
parentPort?.postMessage("ready");
