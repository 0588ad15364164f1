import assert from "node:assert/strict";
import { test } from "node:test";
import { auto, type Intent } from "../../../../src/source/algorithms/auto.js";
import { passFacts, stopFacts } from "./facts.js";

type Changes = Parameters<typeof passFacts>[0];

/** Why the rounds end; null for another round. */
function after(changes: Changes, intent: Intent = { maxDowntimeMs: 100 }): string | null {
  const verdict = auto(intent).afterPass(passFacts(changes));
  return verdict.then === "stop" ? verdict.reason : null;
}

test("auto ends the rounds when what is dirty takes 70 % of the downtime allowed", () => {
  // A page takes 4.096 ms: 17 of them 69.6 ms.
  assert.equal(after({ dirtyPages: 17 }), "downtime-limit");
  assert.equal(after({ dirtyPages: 18 }), null);
});

test("auto leaves time for a handover, and for its round trips", () => {
  // Of 24 ms, 10 go to the handover and 4 to round trips.
  const intent = { maxDowntimeMs: 24 };
  assert.equal(after({ dirtyPages: 2, roundTripMs: 2 }, intent), "downtime-limit");
  assert.equal(after({ dirtyPages: 3, roundTripMs: 2 }, intent), null);
  assert.equal(after({ dirtyPages: 1, roundTripMs: 20 }, intent), null);
  assert.equal(after({ dirtyPages: 0, roundTripMs: Infinity }, intent), "downtime-limit");
});

test("auto makes no further round where the guest writes nearly as fast as its pages can be sent", () => {
  // 200 pages in 819.2 ms, and they take as long to send.
  const pace = (durationMs: number) => after({ dirtyPages: 200, durationMs });
  assert.equal(pace(819.2), "not-converging");
  assert.equal(pace(819.2 / 0.8 - 1), "not-converging");
  assert.equal(pace(819.2 / 0.8 + 1), null);
});

test("auto makes no further round where the last one did not bring the dirty pages down", () => {
  const rounds = { dirtyPages: 200, durationMs: 1e6, elapsedMs: 0 };
  assert.equal(after({ ...rounds, dirtyPagesBefore: 250 }), "not-converging");
  assert.equal(after({ ...rounds, dirtyPagesBefore: 251 }), null);
  assert.equal(after({ ...rounds, dirtyPagesBefore: 250, pass: 1 }), null, "nothing is before it");
});

test("auto makes no further round that would end too late", () => {
  // The next round takes 819.2 ms and leaves 100 pages, which take 409.6 ms.
  const facts = { dirtyPages: 200, durationMs: 1638.4, elapsedMs: 6000 };
  assert.equal(after(facts, { maxDowntimeMs: 100, maxTotalMs: 7228 }), "max-total");
  assert.equal(after(facts, { maxDowntimeMs: 100, maxTotalMs: 7229 }), null);
});

test("auto makes no more rounds than Xen", () => {
  assert.equal(after({ pass: 28 }), null);
  assert.equal(after({ pass: 29 }), "max-rounds");
});

test("auto allows 300 ms of downtime where nobody says otherwise", () => {
  assert.equal(after({ dirtyPages: 51 }, {}), "downtime-limit");
  assert.equal(after({ dirtyPages: 52 }, {}), null);
});

test("auto does not wait for pages of which nobody knows how long they take", () => {
  assert.equal(after({ dirtyPages: 1, bytesPerSecond: null }), "not-converging");
  assert.equal(after({ dirtyPages: 0, bytesPerSecond: null }), "downtime-limit");
});

test("auto becomes pre-copy when the rest fits while the guest stands still, and says by how much", () => {
  const { rest, choice } = auto({ maxDowntimeMs: 100 }).ending(
    stopFacts(17, { reason: "downtime-limit" }),
  );
  assert.equal(rest, "before");
  assert.equal(choice?.algorithm, "pre-copy");
  assert.match(choice.why, /17 dirty pages take 69\.6 ms at 1 MB\/s, within the 70 ms/);
});

test("auto becomes three-stage at the last moment when the guest wrote more before it stopped", () => {
  const { rest, choice } = auto({ maxDowntimeMs: 100 }).ending(
    stopFacts(18, { reason: "downtime-limit" }),
  );
  assert.equal(rest, "after");
  assert.equal(choice?.algorithm, "three-stage");
  assert.match(choice.why, /18 dirty pages take 73\.7 ms .* wrote more just before it stopped/);
});

test("auto says which of its reasons made it three-stage", () => {
  // What the last pass left, by the two seconds that it took.
  const lastPass = passFacts({ dirtyPages: 1000, durationMs: 2000 });
  const why = (reason: "not-converging" | "max-total" | "max-rounds") =>
    auto({ maxDowntimeMs: 100, maxTotalMs: 30_000 }).ending(stopFacts(1000, { reason, lastPass }))
      .choice?.why ?? "";
  assert.match(why("not-converging"), /the guest writes too fast, 500 pages\/s, for more rounds/);
  assert.match(why("max-rounds"), /after 29 rounds$/);
  const unknown = stopFacts(5, { bytesPerSecond: null, reason: "not-converging" });
  assert.match(auto({}).ending(unknown).choice?.why ?? "", /take an unknown time, more than/);
});

test("auto says when one more round would have ended, and when it should have", () => {
  // The round takes 819.2 ms and leaves 100 pages, which take 409.6 ms: 7228.8 ms.
  const lastPass = passFacts({ dirtyPages: 200, durationMs: 1638.4, elapsedMs: 6000 });
  const stopped = stopFacts(200, { reason: "max-total", lastPass, elapsedMs: 6000 });
  const why = auto({ maxDowntimeMs: 100, maxTotalMs: 7228 }).ending(stopped).choice?.why ?? "";
  assert.match(
    why,
    /and one more round would end after 7\.23 s, beyond the 7\.23 s allowed in all$/,
  );
});

test("auto says that the whole takes longer than it should, whichever method it becomes", () => {
  const why = (dirtyPages: number, elapsedMs: number, maxTotalMs?: number) =>
    auto({ maxDowntimeMs: 100, maxTotalMs }).ending(
      stopFacts(dirtyPages, { reason: "downtime-limit", elapsedMs }),
    ).choice?.why ?? "";
  // 10 pages take 40.96 ms, within the 70 of pre-copy; 1000 take 4.096 s.
  assert.match(
    why(10, 900, 940),
    /; with them the migration takes about 941 ms, more than the 940 ms allowed in all$/,
  );
  assert.match(why(10, 900, 941), /for pages of the 100 ms of downtime allowed$/);
  assert.match(why(10, 900), /for pages of the 100 ms of downtime allowed$/);
  assert.match(
    why(1000, 6000, 10_000),
    /; with them the migration takes about 10\.10 s, more than the 10\.00 s allowed/,
  );
  assert.match(why(1000, 6000, 10_100), /just before it stopped$/);
  for (const dirtyPages of [0, 10, 1000]) {
    assert.match(
      why(dirtyPages, 6001, 6000),
      /; 6\.00 s have passed already, more than the 6\.00 s allowed in all$/,
    );
    assert.match(
      why(dirtyPages, 45_000, 6000),
      /; 45\.00 s have passed already, more than the 6\.00 s/,
    );
  }
});

test("auto does not say that the whole takes too long where nobody knows how long it takes", () => {
  const stopped = stopFacts(5, { bytesPerSecond: null, reason: "not-converging" });
  const why = auto({ maxTotalMs: 10_000 }).ending(stopped).choice?.why ?? "";
  assert.match(why, /take an unknown time, .* leave fewer$/);
});
