import { fileURLToPath } from "node:url";

/** The repository's root, with a slash at its end; compiled tests run two folders below it. */
const repository = new URL("../../", import.meta.url);

/** Path of a file or folder of the repository. */
export function inRepository(path: string): string {
  return fileURLToPath(new URL(path, repository));
}
