/** Memory for one unit of work, allocated by moving a cursor. */
export {}
