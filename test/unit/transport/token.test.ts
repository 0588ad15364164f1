import assert from "node:assert/strict";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { test } from "node:test";
import { isTokenRight } from "../../../src/transport/token.js";

test("a token is right when it is the same, or when none is demanded", () => {
  assert.equal(isTokenRight("secret", "secret"), true);
  assert.equal(isTokenRight(null, null), true);
  assert.equal(isTokenRight(null, "anything"), true);
});

test("a token is wrong when it is missing, shorter, longer or another", () => {
  for (const presented of [null, "", "secre", "secrets", "Secret", "secret "]) {
    assert.equal(isTokenRight("secret", presented), false, String(presented));
  }
});

test("every presented token is compared in constant time, whatever its length", (context) => {
  const compare = context.mock.method(crypto, "timingSafeEqual");
  syncBuiltinESMExports();
  context.after(() => {
    compare.mock.restore();
    syncBuiltinESMExports();
  });
  const presented = [null, "", "s", "secret", "a much longer one than the secret"];
  for (const token of presented) isTokenRight("secret", token);
  assert.equal(compare.mock.callCount(), presented.length);
  for (const { arguments: compared } of compare.mock.calls) {
    assert.deepEqual(
      compared.map((value) => value.byteLength),
      [32, 32],
    );
  }
});
