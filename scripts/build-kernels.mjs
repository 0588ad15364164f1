// Compiles the AssemblyScript kernels to the WebAssembly modules that src/memory/kernel.ts loads.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const output = join(root, "dist", "src", "memory");
mkdirSync(output, { recursive: true });

for (const name of ["page", "table"]) {
  const { error, stderr } = await asc.main([
    join(root, "src", "memory", "kernels", `${name}.ts`),
    ...["--outFile", join(output, `${name}-kernel.wasm`)],
    ...["-O3", "--noAssert", "--runtime", "stub"],
    ...["--enable", "simd,threads"],
    // The kernels run on the memory and the tables of a guest themselves, so they import it and may own no byte of it.
    ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
  ]);
  if (error) {
    process.stderr.write(stderr.toString());
    process.exit(1);
  }
}
