import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Arguments } from "../../../src/cli/arguments.js";
import { MigrationError } from "../../../src/failure.js";

function given(option: string, value: unknown): Arguments {
  return new Arguments({ [option]: value });
}

/** Holds when `read` throws a USAGE failure that names the option and the text. */
function refuses(read: () => unknown, ...mentioned: string[]): void {
  assert.throws(read, (error: unknown) => {
    assert.ok(error instanceof MigrationError);
    assert.equal(error.failure.code, "USAGE");
    for (const text of mentioned) assert.ok(error.message.includes(text), error.message);
    return true;
  });
}

test("options are read into what they mean", () => {
  assert.equal(given("memory", "1GiB").memory("memory"), 2 ** 30);
  assert.equal(given("max-bandwidth", "1Gbit").rate("max-bandwidth"), 125e6);
  assert.equal(given("max-bandwidth", "50MB/s").rate("max-bandwidth"), 50e6);
  assert.equal(given("after", "0").wait("after"), 0);
  assert.equal(given("after", "0.5").wait("after"), 500);
  assert.equal(given("after", "500ms").wait("after"), 500);
  assert.equal(given("after", "86400").wait("after"), 86_400_000);
  assert.equal(given("for", "1min").wait("for", 60_000), 60_000);
  assert.equal(given("vcpus", "8").vcpus("vcpus"), 8);
  assert.equal(given("channels", "16").channels("channels"), 16);
  assert.equal(given("max-downtime", "50ms").limit("max-downtime"), 50);
  assert.equal(given("throttle-max", "99").percent("throttle-max"), 99);
  assert.equal(given("max-rounds", "1000").rounds("max-rounds"), 1000);
  assert.equal(given("algorithm", "b").oneOf("algorithm", ["a", "b"]), "b");
  assert.deepEqual(given("listen", "[::1]:0").listenAddress("listen"), { host: "::1", port: 0 });
  assert.equal(given("once", true).flag("once"), true);
});

test("an option that was not given is undefined, and a flag false", () => {
  const none = new Arguments({});
  assert.equal(none.memory("memory"), undefined);
  assert.equal(none.rate("max-bandwidth"), undefined);
  assert.equal(none.listenAddress("listen"), undefined);
  assert.equal(none.program("guest"), undefined);
  assert.equal(none.token("token-file"), null);
  assert.deepEqual(none.settings("set"), {});
  assert.equal(none.flag("once"), false);
  assert.equal(none.has("once"), false);
});

test("nonsense is refused by name, with what was written", () => {
  for (const text of ["1XB", "0", "3000", "100000", "5GiB", "-1GiB", "1GiB/s", "lots"]) {
    refuses(() => given("memory", text).memory("memory"), "--memory", text);
  }
  for (const text of ["0", "quick", "-1Gbit", "1Gbit/h"]) {
    refuses(() => given("max-bandwidth", text).rate("max-bandwidth"), "--max-bandwidth", text);
  }
  for (const text of ["0", "9", "1.5", "two", "-1", "1e0"]) {
    refuses(() => given("vcpus", text).vcpus("vcpus"), "--vcpus", text);
  }
  for (const text of ["0ms", "50", "1441min", "soon"]) {
    refuses(() => given("max-downtime", text).limit("max-downtime"), "--max-downtime", text);
  }
  for (const text of ["0", "100", "1.5", "20%"]) {
    refuses(() => given("throttle-max", text).percent("throttle-max"), "--throttle-max", text);
  }
  for (const text of ["-1", "soon", "1h", "1e3", "Infinity"]) {
    refuses(() => given("after", text).wait("after"), "--after", text);
  }
  for (const text of ["86401", "1441min", "9".repeat(400)]) {
    refuses(() => given("after", text).wait("after"), "--after", text, "up to a day");
  }
  refuses(() => given("for", "61s").wait("for", 60_000), "--for", "61s", "up to 60s");
  for (const text of ["7000", "a:b", "::1:7000", "a:70000"]) {
    refuses(() => given("listen", text).listenAddress("listen"), "--listen", text, "HOST:PORT");
  }
});

test("an address to connect to needs a real port", () => {
  assert.equal(given("to", "a:7000").peerAddress("to")?.port, 7000);
  refuses(() => given("to", "a:0").peerAddress("to"), "--to", "a:0");
});

test("an option with one value may be given once, and not empty", () => {
  refuses(() => given("memory", ["1GiB", "2GiB"]).memory("memory"), "--memory", "more than once");
  refuses(() => given("memory", "").memory("memory"), "--memory", "needs a value");
  refuses(() => given("memory", "  ").memory("memory"), "--memory", "needs a value");
});

test("settings are key=value, each key once, the value whatever follows the first =", () => {
  assert.deepEqual(given("set", "rate=5000ops/s").settings("set"), { rate: "5000ops/s" });
  const several = ["a=1", "b=x=y", "c="];
  assert.deepEqual(given("set", several).settings("set"), { a: "1", b: "x=y", c: "" });
  refuses(() => given("set", "rate").settings("set"), "rate", "key=value");
  refuses(() => given("set", "=1").settings("set"), "=1", "key=value");
  refuses(() => given("set", ["a=1", "a=2"]).settings("set"), "a", "more than once");
});

test("a guest is a built-in name, or a module by its absolute path", () => {
  assert.equal(given("guest", "random-writer").program("guest"), "random-writer");
  assert.equal(given("guest", "./guest.js").program("guest"), resolve("guest.js"));
  assert.equal(given("guest", "guest.mjs").program("guest"), resolve("guest.mjs"));
  assert.equal(given("guest", "/a/b.js").program("guest"), resolve("/a/b.js"));
});

test("a token is the one line of its file, without the newline", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tristage-token-"));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  const token = (content: string) => {
    const path = join(folder, "token");
    writeFileSync(path, content);
    return given("token-file", path).token("token-file");
  };
  assert.equal(token("secret\n"), "secret");
  assert.equal(token("  s3cr3t=/+\r\n"), "s3cr3t=/+");
  for (const content of ["", "\n", "two words", "two\nlines", "sécret", "a".repeat(4097)]) {
    refuses(() => token(content), "--token-file", "one line");
  }
  const missing = join(folder, "missing");
  refuses(() => given("token-file", missing).token("token-file"), missing, "cannot be read");
});

test("a complaint about a token file does not print the token", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tristage-token-"));
  context.after(() => {
    rmSync(folder, { recursive: true });
  });
  const path = join(folder, "token");
  writeFileSync(path, "hunter two");
  assert.throws(() => given("token-file", path).token("token-file"), /^(?!.*hunter)/s);
});

test("an option that means nothing by itself is refused, not ignored", () => {
  const alone = new Arguments({ after: "3" });
  refuses(() => alone.onlyWith("migrate-to", ["after"]), "--after", "--migrate-to");
  new Arguments({ after: "3", "migrate-to": "a:1" }).onlyWith("migrate-to", ["after"]);
});

test("a missing option is answered with what to write", () => {
  refuses(() => new Arguments({}).required(undefined, "--memory 1GiB"), "--memory 1GiB");
  assert.equal(new Arguments({}).required(0, "--memory 1GiB"), 0);
});
