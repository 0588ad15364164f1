/** From when to when something ran, by `sharedNowMs`. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Milliseconds on a clock that all processes of this machine share. */
export function sharedNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
