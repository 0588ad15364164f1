import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonPresenter } from "../../../src/cli/show/json-presenter.js";
import { plainPresenter } from "../../../src/cli/show/plain-presenter.js";
import { reportScreen } from "../../../src/cli/show/report-screen.js";
import { plainStyle } from "../../../src/cli/show/style.js";
import { terminalPresenter } from "../../../src/cli/show/terminal-presenter.js";
import type { HostEvent } from "../../../src/host/events.js";
import { ManualClock, RecordingScreen, RecordingSink } from "./recording.js";
import { phaseEvent, progressEvent, sampleReport } from "./samples.js";

const LISTENING: HostEvent = {
  event: "listening",
  host: "h1",
  address: "127.0.0.1:7000",
  control: "127.0.0.1:7001",
};
const ERROR: HostEvent = {
  event: "error",
  code: "TOKEN_WRONG",
  text: "the token does not match",
  migrationId: null,
};
const ONE_OF_EACH: readonly HostEvent[] = [
  LISTENING,
  { event: "guest", guestId: "g1", guest: "kv", state: "running", generation: 1 },
  phaseEvent(),
  progressEvent(),
  ERROR,
  sampleReport(),
];

test("JSON: each event is one line on stdout, and nothing else is there", () => {
  const [stdout, stderr] = [new RecordingSink(), new RecordingSink()];
  const presenter = jsonPresenter(stdout, stderr);
  for (const event of ONE_OF_EACH) presenter.show(event);
  presenter.say("a word to people");
  presenter.close();
  assert.deepEqual(
    stdout.lines.map((line) => JSON.parse(line) as HostEvent),
    ONE_OF_EACH,
  );
  assert.deepEqual(stderr.lines, ["tristage: a word to people"]);
});

test("plain: each phase is one line, and the report stands whole at the end", () => {
  const stdout = new RecordingSink();
  const presenter = plainPresenter(stdout, new ManualClock());
  for (const event of ONE_OF_EACH) presenter.show(event);
  assert.deepEqual(stdout.lines, [
    "listening for migrations on 127.0.0.1:7000, control on 127.0.0.1:7001",
    "guest kv (g1) is running here",
    "kv: stage 1: copying all memory while the guest runs",
    "stage 1: 53 %, 139,264 of 262,144 pages, 1.21 GB/s, 420 ms left, guest 1.23 Mop/s",
    "error: the token does not match",
    ...reportScreen(sampleReport(), plainStyle),
  ]);
});

test("plain: progress comes at most once a second, for each migration by itself", () => {
  const [stdout, clock] = [new RecordingSink(), new ManualClock()];
  const presenter = plainPresenter(stdout, clock);
  for (let ms = 0; ms < 3000; ms += 100) {
    presenter.show(progressEvent());
    if (ms === 1500) presenter.show(progressEvent({ migrationId: "m2" }));
    clock.advance(100);
  }
  assert.equal(stdout.lines.length, 4);
});

test("plain: what is not known yet is left out of a progress line", () => {
  const stdout = new RecordingSink();
  const presenter = plainPresenter(stdout, new ManualClock());
  presenter.show(progressEvent({ secondsLeft: null, guestOpsPerSecond: null, pagesTotal: 0 }));
  assert.deepEqual(stdout.lines, ["stage 1: 100 %, 139,264 of 0 pages, 1.21 GB/s"]);
});

test("plain: no control character of a text reaches the reader", () => {
  const stdout = new RecordingSink();
  const presenter = plainPresenter(stdout, new ManualClock());
  presenter.show({ ...ERROR, text: "a\u001b[2J\nb" });
  assert.deepEqual(stdout.lines, ["error: a [2J b"]);
});

test("terminal: the stages are drawn over each other and the report stays", () => {
  const screen = new RecordingScreen();
  const presenter = terminalPresenter(screen);
  presenter.show(LISTENING);
  presenter.show(phaseEvent());
  presenter.show(progressEvent({ pagesDone: 10 }));
  presenter.show(progressEvent());
  assert.deepEqual(screen.visible, [
    "listening for migrations on 127.0.0.1:7000, control on 127.0.0.1:7001",
    "kv: copying all memory while the guest runs",
    "  1 memory copy  ███████░░░░░░░  53 %  1.21 GB/s  420 ms left",
    "    139,264 of 262,144 pages · guest 1.23 Mop/s · 0 faults",
    "",
  ]);
  presenter.show(phaseEvent({ stage: 2, text: "the guest is handed over" }));
  presenter.show(phaseEvent({ stage: 3, text: "its dirty pages follow" }));
  presenter.show(progressEvent({ stage: 3, pagesDone: 1, pagesTotal: 4, faults: 3 }));
  assert.deepEqual(screen.visible, [
    "listening for migrations on 127.0.0.1:7000, control on 127.0.0.1:7001",
    "kv: its dirty pages follow",
    "  ✓ memory copy",
    "  ✓ switchover",
    "  3 dirty pages  ███░░░░░░░░░░░  25 %  1.21 GB/s  420 ms left",
    "    1 of 4 pages · guest 1.23 Mop/s · 3 faults",
    "",
  ]);
  presenter.show(sampleReport());
  presenter.close();
  assert.deepEqual(screen.visible, [
    "listening for migrations on 127.0.0.1:7000, control on 127.0.0.1:7001",
    ...reportScreen(sampleReport(), plainStyle),
    "",
  ]);
});

test("terminal: a line from elsewhere stands above the live block and does not tear it", () => {
  const screen = new RecordingScreen();
  const presenter = terminalPresenter(screen);
  presenter.show(phaseEvent());
  presenter.aside(() => screen.write("a line of the log\n"));
  presenter.show(progressEvent());
  assert.deepEqual(screen.visible, [
    "a line of the log",
    "kv: copying all memory while the guest runs",
    "  1 memory copy  ███████░░░░░░░  53 %  1.21 GB/s  420 ms left",
    "    139,264 of 262,144 pages · guest 1.23 Mop/s · 0 faults",
    "",
  ]);
});

test("terminal: a migration that ended in an error leaves no block behind", () => {
  const screen = new RecordingScreen();
  const presenter = terminalPresenter(screen);
  presenter.show(phaseEvent());
  presenter.show({ ...ERROR, migrationId: "m1" });
  assert.deepEqual(screen.visible.filter(Boolean), ["error: the token does not match"]);
});

test("terminal: the final phase of what came in stays as a line and leaves no block behind", () => {
  const screen = new RecordingScreen();
  const presenter = terminalPresenter(screen);
  presenter.show(phaseEvent());
  presenter.show({ ...ERROR, migrationId: "m1" });
  const ended = { phase: "ended", stage: null } as const;
  presenter.show(phaseEvent({ ...ended, direction: "incoming", text: "the guest did not arrive" }));
  presenter.say("a word");
  assert.deepEqual(screen.visible.filter(Boolean), [
    "error: the token does not match",
    "kv: the guest did not arrive",
    "a word",
  ]);
});

test("terminal: every line of the live block fits into 80 columns", () => {
  const screen = new RecordingScreen();
  const presenter = terminalPresenter(screen);
  presenter.show(phaseEvent({ stage: 3 }));
  presenter.show(
    progressEvent({
      stage: 3,
      pagesDone: 1_048_575,
      pagesTotal: 1_048_576,
      bytesPerSecond: 999_999,
      secondsLeft: 99_999.5,
      faults: 1_048_576,
    }),
  );
  for (const line of screen.visible) assert.ok(line.length <= 80, line);
});
