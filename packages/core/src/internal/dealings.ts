import type { CheckedShare, Dealings, Share } from "../Budget.ts"
import type { Checks } from "../InvalidOptions.ts"
import { Permits } from "./permits.ts"

const checkShare = (checks: Checks, share: Share, weight: number): CheckedShare => {
  checks.known(share, shareFields, "budget.")
  const { budget } = share
  const each = checks.integer("budget.weight", share.weight, weight, 1)
  const { open } = budget
  if (each > open) {
    return checks.refuse("budget.weight", each, `must not exceed what is promised to nobody (${open})`)
  }
  const minimum = checks.integer("budget.minimum", share.minimum, 0, 0)
  if (minimum % each !== 0) checks.refuse("budget.minimum", minimum, `must be a multiple of the weight (${each})`)
  if (minimum === 0) return { budget, weight: each, minimum }
  if (budget.hasMinimums === false)
    checks.refuse("budget.minimum", minimum, `must be 0: budget "${budget.name}" promises none`)
  // Each of the others must still be able to have an item, beside all minimums but its own.
  const { members } = budget.statsUnsafe()
  const most = members.reduce((most, member) => Math.min(most, open + member.minimum - member.weight), open)
  if (minimum > most) checks.refuse("budget.minimum", minimum, `must not exceed what others can do without (${most})`)
  return { budget, weight: each, minimum }
}

const shareFields = new Set<keyof Share>(["budget", "minimum", "weight"])

/** What pools do with a budget. Each budget brings it along, so that bundles of pools without one do not have it. */
export const dealings: Dealings = {
  check: checkShare,
  enter: (admission, share) => new Permits(admission, share)
}
