import assert from "node:assert/strict";
import { type Failure, type FailureCode, MigrationError } from "../src/failure.js";

/** The failure that `action` throws. Fails the test when it returns, or throws anything else. */
function failureFrom(action: () => unknown): Failure {
  try {
    action();
  } catch (error) {
    if (error instanceof MigrationError) return error.failure;
    throw error;
  }
  assert.fail("it should have failed");
}

/** The failure of `action`, which must have this code. */
export function failsWith<Code extends FailureCode>(
  code: Code,
  action: () => unknown,
): Extract<Failure, { readonly code: Code }> {
  const failure = failureFrom(action);
  assert.equal(failure.code, code, `failed with ${JSON.stringify(failure)}`);
  return failure as Extract<Failure, { readonly code: Code }>;
}
