import assert from "node:assert/strict";
import { test } from "node:test";
import { reportScreen } from "../../../src/cli/show/report-screen.js";
import { plainStyle } from "../../../src/cli/show/style.js";
import { OUTCOMES, type Report } from "../../../src/protocol/report.js";
import { emptyReport, sampleReport } from "./samples.js";

const LONG = "a very long explanation of what went wrong and what to do about it ".repeat(20);

/** The largest figures that a 4 GiB guest and a slow link can bring. */
function hugeReport(changes: Partial<Report> = {}): Report {
  const { pages, times } = sampleReport();
  const huge = (object: object) =>
    Object.fromEntries(Object.keys(object).map((key) => [key, 8_388_608]));
  return sampleReport({
    memoryBytes: 4 * 2 ** 30,
    vcpuCount: 8,
    channels: 16,
    generation: 2 ** 31,
    pages: { ...pages, ...huge(pages) },
    times: { ...times, ...huge(times) },
    downtimeParts: {
      pauseMs: 99_999,
      copyMs: 99_999,
      collectMs: 99_999,
      transferMs: 99_999,
      startMs: 99_999,
    },
    ...changes,
  });
}

/** What auto says after as many rounds as there may be. */
function manyRounds(): Partial<Report> {
  const rounds = Array.from({ length: 1002 }, (_, index) => ({
    pass: index + 1,
    pagesSent: 1_048_576,
    pagesSkipped: 1_048_576,
    durationMs: 99_999.9,
    dirtyPagesAfter: 1_048_576,
    throttlePercent: 99,
    stopped: index >= 1000,
  }));
  return { rounds, stopReason: "not-converging", choice: { algorithm: "pre-copy", why: LONG } };
}

test("a report fits on a screen of 80 columns and 24 rows with a row left for the prompt", () => {
  const failure = { code: "PEER_FAILED", text: LONG };
  const reports = [
    sampleReport(),
    emptyReport(),
    hugeReport(),
    hugeReport({ failure, outcome: "stranded" }),
    emptyReport({ failure, throughput: sampleReport().throughput }),
    sampleReport({ guest: "x".repeat(200), failure }),
    hugeReport(manyRounds()),
    hugeReport({ ...manyRounds(), failure, outcome: "stranded" }),
    emptyReport({ ...manyRounds(), failure, throughput: sampleReport().throughput }),
    ...OUTCOMES.map((outcome) => sampleReport({ outcome })),
  ];
  for (const report of reports) {
    const lines = reportScreen(report, plainStyle);
    assert.ok(lines.length <= 23, `${String(lines.length)} lines`);
    for (const line of lines) {
      assert.ok(line.length <= 80, line);
      assert.doesNotMatch(line, /undefined|null|NaN|\n/);
    }
  }
});

test("a report of a usual size is not cut off anywhere", () => {
  const lines = reportScreen(sampleReport(), plainStyle);
  for (const line of lines) assert.doesNotMatch(line, /…/);
});

test("a report says what became of the guest, and why it did not complete", () => {
  const screen = (report: Report) => reportScreen(report, plainStyle).join("\n");
  assert.match(screen(sampleReport()), /completed\n.*runs on the destination/);
  assert.match(screen(sampleReport({ outcome: "cancelled" })), /goes on running on the source/);
  assert.match(screen(sampleReport({ outcome: "inDoubt" })), /paused on the source/);
  assert.match(screen(sampleReport({ outcome: "stranded" })), /kept on the source/);
  assert.match(screen(emptyReport()), /why: cannot connect to 192\.0\.2\.1:7000/);
});

test("a report prints the downtime, its parts and the figures of the pages", () => {
  const screen = reportScreen(sampleReport(), plainStyle).join("\n");
  assert.match(screen, /downtime 3\.21 ms/);
  assert.match(screen, /pause 210 µs \+ collect 630 µs \+ transfer 1\.91 ms \+ start 460 µs/);
  assert.match(screen, /251,907 sent, 18,304 zero, no page more than 2 times/);
  assert.match(screen, /before 1\.20 M, during 1\.01 M, after 1\.19 M; longest gap 3\.30 ms/);
});

test("a report counts prepulled pages of any kind, as the touched ones of them are", () => {
  const screen = (report: Report) => reportScreen(report, plainStyle).join("\n");
  assert.match(screen(sampleReport()), /prepulled +452, of which the guest soon touched 355\n/);
  assert.match(screen(sampleReport({ faults: null })), /prepulled +412\n/);
});

test("a report says from where the guest was to go, whereto, when, and what it was held to", () => {
  const screen = (changes: Partial<Report["request"]>) => {
    const { request } = sampleReport();
    const report = sampleReport({ request: { ...request, ...changes } });
    return reportScreen(report, plainStyle).join("\n");
  };
  assert.match(screen({}), /asked +2026-11-26 16:17:24Z to 192\.0\.2\.2:7000 from alder-4711\n/);
  assert.match(screen({}), /1\.01 GB\/s, 4 channels\n/);
  assert.match(screen({ maxBandwidth: 125e6 }), / \(at most 125 MB\/s\), 4 channels\n/);
  const both = { maxBandwidth: 125e6, maxPostcopyBandwidth: 5e7 };
  assert.match(screen(both), / \(at most 125 MB\/s, then 50 MB\/s\), 4 channels\n/);
  assert.match(screen({ maxPostcopyBandwidth: 5e7 }), / \(then at most 50 MB\/s\), 4 channels\n/);
});

test("a report names its algorithm, its rounds and why they ended", () => {
  const round = { durationMs: 10, dirtyPagesAfter: 700, throttlePercent: 0 };
  const rounds = [
    { ...round, pass: 1, pagesSent: 262_000, pagesSkipped: 144, stopped: false },
    { ...round, pass: 2, pagesSent: 5100, pagesSkipped: 20, stopped: false, throttlePercent: 20 },
    { ...round, pass: 3, pagesSent: 700, pagesSkipped: 0, stopped: true, dirtyPagesAfter: 0 },
  ];
  const report = sampleReport({ algorithm: "pre-copy", rounds, stopReason: "downtime-limit" });
  const screen = reportScreen(report, plainStyle).join("\n");
  assert.match(screen, /pre-copy migration of kv/);
  assert.match(screen, /rounds +2 \(262,000, 5,100\), 700 stopped; downtime-limit, slowed 20 %/);
  assert.doesNotMatch(reportScreen(sampleReport(), plainStyle).join("\n"), /rounds|chosen/);

  const choice = { algorithm: "three-stage", why: "it writes too fast" } as const;
  const chosen = reportScreen(sampleReport({ choice }), plainStyle).join("\n");
  assert.match(chosen, /chosen: it writes too fast/);
});

test("a time that was not reached is a dash, and a downtime that was not there has no parts", () => {
  const screen = reportScreen(emptyReport(), plainStyle).join("\n");
  assert.match(screen, /preparation – \+ downtime – \+ resume –/);
  assert.doesNotMatch(screen, /pause|before \d/);
});

test("texts from the other side cannot reach the terminal as control characters", () => {
  const text = "harmless\u001b[2Jnot\u0007\r\nso";
  const report = emptyReport({ failure: { code: "X", text }, guest: "k\u001b]0;v" });
  for (const line of reportScreen(report, plainStyle)) assert.doesNotMatch(line, /\p{Cc}/u);
});
