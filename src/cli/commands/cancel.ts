import { forGuest, nameOf } from "../for-guest.js";
import { usage } from "../arguments.js";

export const cancel = forGuest({
  summary: "Cancel the migration of a guest before it is handed over; the guest stays",
  async carryOut(host, guest) {
    const { migrations } = await host.status();
    const leaving = migrations.find(
      ({ direction, guestId }) => direction === "outgoing" && guestId === guest.guestId,
    );
    if (leaving === undefined) throw usage(`${nameOf(guest)} is not leaving that host`);
    await host.cancel(leaving.migrationId);
  },
  done: "stays; its migration is cancelled",
});
