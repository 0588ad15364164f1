import { MigrationError } from "../../failure.js";
import { forGuest } from "../for-guest.js";

export const cancel = forGuest({
  async carryOut({ host, status, guest: { guestId } }) {
    const leaving = status.migrations.find(
      (it) => it.direction === "outgoing" && it.guestId === guestId,
    );
    if (leaving === undefined) throw new MigrationError({ code: "GUEST_NOT_LEAVING", guestId });
    await host.cancel(leaving.migrationId);
  },
  done: "stays; its migration is cancelled",
});
