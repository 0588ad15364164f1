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
