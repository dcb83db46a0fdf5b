/** Whether the endurance tests are to take their time: ten times as many rounds, a year instead of a month. */
export const isLong = process.env["POOL_LONG"] === "1"
