import assert from "node:assert/strict";
import fs, { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Journal } from "../../../src/host/journal.js";
import { noLocks } from "../../locks.js";
import { failsWith } from "../../failures.js";

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "tristage-journal-"));
  context.after(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** Runs `work` on the journal in `directory`, then closes it. */
function opened<Result>(directory: string, work: (journal: Journal) => Result): Result {
  const journal = Journal.open(directory);
  try {
    return work(journal);
  } finally {
    journal.close();
  }
}

const fileIn = (directory: string) => join(directory, "ownership.jsonl");

test("a journal that is opened again knows the last record of every generation", (context) => {
  const directory = join(folder(context), "made", "if", "need", "be");
  opened(directory, (journal) => {
    journal.write("a", 1, "born");
    journal.write("a", 2, "handingOver");
    journal.write("a", 2, "kept");
    journal.write("b", 2, "refused");
    assert.equal(journal.find("a", 2), "kept");
  });
  opened(directory, (journal) => {
    assert.equal(journal.find("a", 1), "born");
    assert.equal(journal.find("a", 2), "kept");
    assert.equal(journal.find("b", 2), "refused");
    assert.equal(journal.find("b", 1), undefined);
    assert.equal(journal.find("a 2", 2), undefined);
  });
});

test("a record is in the file before write returns", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 2, "running");
    const [line, rest] = readFileSync(fileIn(directory), "utf8").split("\n");
    const { guestId, generation, kind } = JSON.parse(line ?? "") as Record<string, unknown>;
    assert.deepEqual([guestId, generation, kind, rest], ["a", 2, "running", ""]);
  });
});

test("every record but running is on disk before write returns", (context) => {
  const sync = context.mock.method(fs, "fdatasyncSync");
  syncBuiltinESMExports();
  context.after(() => {
    sync.mock.restore();
    syncBuiltinESMExports();
  });
  opened(folder(context), (journal) => {
    journal.write("a", 2, "prepared");
    assert.equal(sync.mock.callCount(), 1);
    // The guest stands still: the kernel has it, and the disk follows.
    journal.write("a", 2, "running");
    assert.equal(sync.mock.callCount(), 1);
    journal.write("a", 2, "released");
    assert.equal(sync.mock.callCount(), 2);
  });
});

test("the disk follows running when the guest has long started, and not once the journal is closed", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const sync = context.mock.method(fs, "fdatasync");
  syncBuiltinESMExports();
  context.after(() => {
    sync.mock.restore();
    syncBuiltinESMExports();
  });
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 2, "running");
    context.mock.timers.tick(10);
    assert.equal(sync.mock.callCount(), 0);
    context.mock.timers.tick(100);
    assert.equal(sync.mock.callCount(), 1);
    journal.write("b", 2, "running");
  });
  context.mock.timers.tick(100);
  assert.equal(sync.mock.callCount(), 1);
});

test("after another boot of the machine, prepared may have lost what followed it", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 2, "prepared");
  });
  opened(directory, (journal) => {
    assert.equal(journal.find("a", 2), "prepared");
  });
  const text = readFileSync(fileIn(directory), "utf8");
  writeFileSync(fileIn(directory), text.replace(/"boot":"[^"]*"/, '"boot":"another"'));
  opened(directory, (journal) => {
    assert.equal(journal.find("a", 2), "uncertain");
    journal.write("a", 2, "refused");
    assert.equal(journal.find("a", 2), "refused");
  });
});

test("a refusal holds while its process lives, though the disk does not take it, and is given again after that", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 2, "prepared");
    const write = context.mock.method(fs, "writeSync", () => {
      throw new Error("the disk is full");
    });
    syncBuiltinESMExports();
    context.after(() => {
      write.mock.restore();
      syncBuiltinESMExports();
    });
    journal.refuse("a", 2);
    assert.equal(journal.find("a", 2), "refused");
    // Nothing is on file of this one, so a later process would not know of the promise.
    failsWith("JOURNAL_UNUSABLE", () => {
      journal.refuse("b", 2);
    });
    assert.equal(journal.find("b", 2), undefined);
  });
  opened(directory, (journal) => {
    assert.equal(journal.find("a", 2), "prepared");
  });
});

test("a journal's file is closed when it is synced no more, and its number is nobody else's until then", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const sync = context.mock.method(fs, "fdatasync", (_fd: number, done: () => void) => {
    synced = done;
  });
  const closing = context.mock.method(fs, "closeSync");
  let synced: () => void = () => undefined;
  syncBuiltinESMExports();
  context.after(() => {
    sync.mock.restore();
    closing.mock.restore();
    syncBuiltinESMExports();
  });
  opened(folder(context), (journal) => {
    journal.write("a", 2, "running");
    context.mock.timers.tick(1000);
  });
  assert.equal(closing.mock.callCount(), 0);
  synced();
  assert.equal(closing.mock.callCount(), 1);
});

test("a last line that a crash cut short, at any byte, costs only itself", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 1, "born");
  });
  const before = readFileSync(fileIn(directory));
  opened(directory, (journal) => {
    journal.write("a", 2, "handingOver");
  });
  const whole = readFileSync(fileIn(directory));
  for (let length = before.length; length < whole.length; length += 1) {
    writeFileSync(fileIn(directory), whole.subarray(0, length));
    opened(directory, (journal) => {
      assert.equal(journal.find("a", 1), "born");
      assert.equal(journal.find("a", 2), undefined);
      // What is written now must survive, too.
      journal.write("b", 3, "refused");
    });
    opened(directory, (journal) => {
      assert.equal(journal.find("a", 1), "born");
      assert.equal(journal.find("b", 3), "refused", `cut at byte ${String(length)}`);
    });
  }
});

test("a journal with a line in it that is no record is not trusted", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 1, "born");
  });
  for (const line of [
    "nonsense",
    "{}",
    '{"at":"now","guestId":"a","generation":1,"kind":"owned"}',
    '{"at":"now","guestId":"a","generation":1.5,"kind":"born"}',
  ]) {
    const good = readFileSync(fileIn(directory));
    appendFileSync(fileIn(directory), `${line}\n`);
    const failure = failsWith("JOURNAL_UNUSABLE", () => Journal.open(directory));
    assert.equal(failure.path, fileIn(directory));
    assert.match(failure.cause, /line 2/);
    writeFileSync(fileIn(directory), good);
  }
});

test("a directory that cannot be used is refused", (context) => {
  const directory = folder(context);
  const file = join(directory, "file");
  writeFileSync(file, "");
  failsWith("JOURNAL_UNUSABLE", () => Journal.open(file));
  failsWith("JOURNAL_UNUSABLE", () => Journal.open(join(file, "below")));
  fs.mkdirSync(fileIn(directory));
  failsWith("JOURNAL_UNUSABLE", () => Journal.open(directory));
});

test(
  "a journal that a host is using is not opened by another, until that one is gone",
  { skip: noLocks },
  (context) => {
    const directory = folder(context);
    opened(directory, (journal) => {
      failsWith("JOURNAL_IN_USE", () => Journal.open(directory));
      journal.write("a", 1, "born");
    });
    opened(directory, (journal) => {
      assert.equal(journal.find("a", 1), "born");
    });
  },
);

test("a record that did not fit on the disk is not believed", (context) => {
  const directory = folder(context);
  opened(directory, (journal) => {
    journal.write("a", 1, "born");
    const write = context.mock.method(fs, "writeSync", (fd: number, data: string | Buffer) => {
      // A disk that is nearly full takes a part, and that is no error.
      return realWrite(fd, Buffer.from(data).subarray(0, 9));
    });
    syncBuiltinESMExports();
    try {
      failsWith("JOURNAL_UNUSABLE", () => {
        journal.write("a", 2, "running");
      });
    } finally {
      write.mock.restore();
      syncBuiltinESMExports();
    }
    assert.equal(journal.find("a", 2), undefined);
    journal.write("a", 2, "refused");
  });
  opened(directory, (journal) => {
    assert.equal(journal.find("a", 1), "born");
    assert.equal(journal.find("a", 2), "refused");
  });
});

const realWrite = fs.writeSync;
