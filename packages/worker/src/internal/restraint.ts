/** In milliseconds. */
const PAUSE = { first: 10, longest: 1000 }

/**
 * Holds back starts while workers become ready and end before anybody has asked them for anything: each would cost a
 * processor a good part of a second, without end.
 */
export class Restraint {
  /** How long the next start is to wait, in milliseconds. */
  pause = 0

  endedUnused(): void {
    this.pause = Math.min(this.pause * 2 || PAUSE.first, PAUSE.longest)
  }

  used(): void {
    this.pause = 0
  }
}
