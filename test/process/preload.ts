/** Options for Node.js that run `module` before the program. */
export function preload(module: string): readonly string[] {
  return ["--import", `data:text/javascript,${encodeURIComponent(module)}`];
}

/** Makes the disk full for one kind of record of the journal. */
export function diskWithoutRoomFor(kind: string): readonly string[] {
  return preload(`
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const { writeSync } = fs;
    fs.writeSync = (fd, data, ...rest) => {
      if (String(data).includes('"kind":"${kind}"')) throw new Error("ENOSPC: the disk is full");
      return writeSync(fd, data, ...rest);
    };
    syncBuiltinESMExports();`);
}

/** While a file of that path exists, the system starts no threads. */
export function noThreadsWhile(path: string): readonly string[] {
  return preload(`
    import { existsSync } from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    import threads from "node:worker_threads";
    threads.Worker = class extends threads.Worker {
      constructor(...all) {
        if (existsSync(${JSON.stringify(path)})) throw new Error("ERR_WORKER_INIT_FAILED");
        super(...all);
      }
    };
    syncBuiltinESMExports();`);
}

/** All the memory that the machine seems to have. */
export function memoryOf(byteCount: number): readonly string[] {
  return preload(`process.availableMemory = () => ${String(byteCount)};`);
}
