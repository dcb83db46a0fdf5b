/** The binary format of modules, as far as it takes to find things in it, and to write some of them anew. */

/** There is no such thing in a module, or none that is known here. */
export class Unreadable extends Error {}

export class Reader {
  readonly bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length
  }

  end(): void {
    if (!this.isAtEnd) throw new Unreadable()
  }

  byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Unreadable()
    return byte
  }

  /** In LEB128, no longer than engines take it. */
  unsigned(bits: 32 | 64): bigint {
    let value = 0n
    for (let shift = 0; shift < bits; shift += 7) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << BigInt(shift)
      if (byte >= 0x80) continue
      if (value >> BigInt(bits) !== 0n) throw new Unreadable()
      return value
    }
    throw new Unreadable()
  }

  size(): number {
    return Number(this.unsigned(32))
  }

  part(length: number): Reader {
    const end = this.at + length
    if (end > this.bytes.length) throw new Unreadable()
    const part = new Reader(this.bytes.subarray(this.at, end))
    this.at = end
    return part
  }

  since(start: number): Uint8Array {
    return this.bytes.subarray(start, this.at)
  }

  /** `\0asm` and the version of modules. */
  preamble(): Uint8Array {
    const { bytes } = this.part(8)
    if (!preamble.every((byte, index) => bytes[index] === byte)) throw new Unreadable()
    return bytes
  }
}

const preamble = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

export const unsigned = (value: bigint): Uint8Array<ArrayBuffer> => {
  const bytes: Array<number> = []
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
