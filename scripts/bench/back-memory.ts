import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { spawnNode } from "./children.js";
import { bufferOf, sharedMemory } from "./shared-memory.js";

const PIECE_BYTES = 2 ** 28;

/**
 * Has the machine touch and free twice this much memory and a quarter of a GiB more, in huge pages and in small ones. A
 * virtual machine gives free memory back to its host after some seconds, and the first touch afterwards
 * costs many times a copy; what follows at once does not pay for that, neither our page path nor the raw pump. Twice, since
 * the kernel does not give first what was freed last.
 */
export async function backMemory(byteCount: number): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const bytes = String(2 * byteCount + PIECE_BYTES);
  await once(spawnNode([self, bytes]), "exit");
}

const [, program, byteCount] = process.argv;
if (program === fileURLToPath(import.meta.url)) {
  const kept: unknown[] = [];
  for (const huge of [true, false]) {
    for (let left = Number(byteCount); left > 0; left -= PIECE_BYTES) {
      const bytes = new Uint8Array(bufferOf(sharedMemory(PIECE_BYTES, huge)));
      kept.push(bytes.fill(1));
    }
  }
}
