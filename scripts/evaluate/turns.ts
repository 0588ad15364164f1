/**
 * The ways in the order in which a run takes them, so that no way always has the same host to come from or the same way before
 * it. The first run goes to and fro: 0, 1, n−1, 2, n−2 …; each further run has every way one on (Williams 1949: with an even
 * number of ways, n runs have each way once after each other one). The guest changes its host with every migration, so a
 * way's direction is the parity of all that went before.
 */
export function turnsOf<Way>(run: number, ways: readonly Way[]): readonly Way[] {
  const count = ways.length;
  return ways.flatMap((_, place) => {
    const first = place % 2 === 1 ? (place + 1) / 2 : count - place / 2;
    const way = ways[(first + run) % count];
    return way === undefined ? [] : [way];
  });
}
