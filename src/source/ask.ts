import type { Clock } from "../clock.js";
import { MigrationError } from "../failure.js";
import type { MessageBody } from "../protocol/messages.js";
import type { Address } from "../transport/address.js";
import { connect } from "../transport/connect.js";
import { ControlConnection } from "../transport/control-connection.js";
import type { OwnerAnswer } from "./phase.js";

const RETRY_MS = 500;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Asks the destination who owns the guest, on new connections, until it answers or `patienceMs` have
 * passed; then undefined.
 */
export async function askOwner(
  to: Address,
  question: MessageBody<"ask">,
  patienceMs: number,
  clock: Clock,
): Promise<OwnerAnswer | undefined> {
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    const answer = await askOnce(to, question, clock);
    if (answer !== undefined || clock.nowMs() + RETRY_MS > deadlineMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Undefined when nobody answered, or the answer was no answer. */
async function askOnce(
  to: Address,
  question: MessageBody<"ask">,
  clock: Clock,
): Promise<OwnerAnswer | undefined> {
  try {
    const socket = await connect(to);
    const control = new ControlConnection(socket, "dest", clock);
    return await new Promise((resolve) => {
      const settle = (answer: OwnerAnswer | undefined) => {
        clearTimeout(timer);
        void control.close();
        resolve(answer);
      };
      const timer = setTimeout(settle, ANSWER_TIMEOUT_MS, undefined);
      control.attend({
        phase: () => "greeting",
        message: (message) => {
          const isAnswer =
            message.name === "owner" && message.body.generation === question.generation;
          settle(isAnswer ? message.body.answer : undefined);
        },
        lost: () => {
          settle(undefined);
        },
      });
      control.send("ask", question);
    });
  } catch (error) {
    if (error instanceof MigrationError) return undefined;
    throw error;
  }
}
