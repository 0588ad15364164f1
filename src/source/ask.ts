import type { Clock } from "../clock.js";
import { describe, type Failure, failureOf } from "../failure.js";
import { type MessageBody, peerFailure } from "../protocol/messages.js";
import type { Doubt } from "../protocol/report.js";
import type { Address } from "../transport/address.js";
import { connect } from "../transport/connect.js";
import { ControlConnection } from "../transport/control-connection.js";

const RETRY_MS = 500;
const ANSWER_TIMEOUT_MS = 5_000;

export type OwnerAnswer = MessageBody<"owner">["answer"];

/** What came of asking: an answer, or why none of those that came settles it. */
export type Inquiry =
  | { readonly answer: Exclude<OwnerAnswer, "unknown"> }
  | { readonly answer: null; readonly doubt: Doubt };

/**
 * Asks the destination who owns the guest, on new connections, until it answers or `patienceMs` have passed. A host that knows
 * nothing of the guest is not the one that was to have it, or not yet again: it is asked again.
 */
export async function askOwner(
  to: Address,
  question: MessageBody<"ask">,
  patienceMs: number,
  clock: Clock,
): Promise<Inquiry> {
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    const answer = await askOnce(to, question, clock);
    if (typeof answer === "string" && answer !== "unknown") return { answer };
    if (clock.nowMs() + RETRY_MS > deadlineMs) return { answer: null, doubt: doubtOf(answer) };
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function doubtOf(answer: "unknown" | Failure): Doubt {
  if (answer === "unknown") return { answer, problem: null };
  return { answer: null, problem: describe(answer) };
}

/** The answer, or why there was none. */
async function askOnce(
  to: Address,
  question: MessageBody<"ask">,
  clock: Clock,
): Promise<OwnerAnswer | Failure> {
  try {
    const socket = await connect(to);
    const control = new ControlConnection(socket, "dest", clock);
    return await new Promise((resolve) => {
      const settle = (answer: OwnerAnswer | Failure) => {
        clearTimeout(timer);
        void control.close();
        resolve(answer);
      };
      const stalled = {
        code: "PEER_STALLED",
        awaited: "to say who owns the guest",
        waitedMs: ANSWER_TIMEOUT_MS,
      } as const;
      const timer = setTimeout(settle, ANSWER_TIMEOUT_MS, stalled);
      control.attend({
        phase: () => "greeting",
        message: ({ name, body }) => {
          if (name === "failed") settle(peerFailure(body));
          else if (name === "owner" && body.generation === question.generation) settle(body.answer);
          else settle({ code: "MESSAGE_UNEXPECTED", message: name, phase: "asking" });
        },
        lost: settle,
      });
      control.send("ask", question);
    });
  } catch (error) {
    return failureOf(error);
  }
}
