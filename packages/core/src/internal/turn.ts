/**
 * The end of the turn: one microtask for all that pools put off until then. A lease that had to wait needs it twice, for its
 * wake-up and for the clock, and it costs a twentieth of such a lease.
 */
const settled = Promise.resolve()
const works: Array<() => void> = []
const begins: Array<() => void> = []
let isScheduled = false

const end = (): void => {
  // The work is a turn of its own, which may come long after what it was put off from.
  for (const begin of begins) begin()
  try {
    // Whoever asks for the end now is seen to: work goes on until none is left.
    for (const work of works) work()
  } finally {
    isScheduled = false
    for (const begin of begins) begin()
  }
}

/** Has `work` done at the end of each turn for which somebody has asked. */
export const atTurnEnd = (work: () => void): void => {
  works.push(work)
}

/** Calls `f` before that and after it: for what holds during one turn. */
export const atTurnBegin = (f: () => void): void => {
  begins.push(f)
}

/** Asks for the end of this turn. */
export const askForTurnEnd = (): void => {
  if (isScheduled) return
  isScheduled = true
  void settled.then(end)
}
