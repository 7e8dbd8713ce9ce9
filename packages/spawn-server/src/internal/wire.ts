/** Frames: writing and reading them. `PROTOCOL.md` is the reference, `wire.h` the other side. */

/** @internal */
export const version = 1

const headerBytes = 8

/** @internal */
export const maximumBody = 8 * 1024 * 1024

/** @internal */
export const Kind = {
  Hello: 1,
  Spawn: 2,
  Opened: 3,
  Signal: 4,
  Terminate: 5,
  Kill: 6,
  Extend: 7,
  List: 8,
  Ping: 9,
  Shutdown: 10,
  Resume: 11,
  Grow: 12,
  Resize: 13,
  Welcome: 129,
  Pipes: 130,
  Started: 131,
  Failed: 132,
  Exit: 133,
  Stopped: 134,
  Continued: 135,
  Deadline: 136,
  Left: 137,
  Empty: 138,
  Unkillable: 139,
  Lost: 140,
  Processes: 141,
  Result: 142,
  Pong: 143,
  Error: 144,
  Terminating: 145
} as const

const usualBytes = 16 * 1024

/**
 * Puts frames one after the other until they are taken, all in one. Grows by itself; a spawn allocates one buffer, the
 * copy handed to the socket.
 *
 * @internal
 */
export class Writer {
  #buffer = Buffer.allocUnsafeSlow(usualBytes)
  #length = 0
  /** Where the frame begins that is being written. */
  #frame = 0

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }

  begin(kind: number): this {
    this.#frame = this.#length
    return this.u32(0).u16(kind).u16(0)
  }

  /** Of all that is written and not taken. */
  get length(): number {
    return this.#length
  }

  get bodyLength(): number {
    return this.#length - this.#frame - headerBytes
  }

  u8(value: number): this {
    this.#room(1)
    this.#buffer[this.#length++] = value
    return this
  }

  u16(value: number): this {
    this.#room(2)
    this.#length = this.#buffer.writeUInt16LE(value, this.#length)
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.#length = this.#buffer.writeUInt32LE(value >>> 0, this.#length)
    return this
  }

  /** Of a number, up to 2^53. */
  u64(value: number | bigint): this {
    if (typeof value === "number") return this.u32(value % 0x1_0000_0000).u32(Math.floor(value / 0x1_0000_0000))
    this.#room(8)
    this.#length = this.#buffer.writeBigUInt64LE(value, this.#length)
    return this
  }

  string(value: string): this {
    // No UTF-16 unit takes more than three bytes.
    this.#room(value.length * 3 + 5)
    const bytes = this.#buffer.write(value, this.#length + 4)
    this.#buffer.writeUInt32LE(bytes, this.#length)
    this.#length += bytes + 4
    this.#buffer[this.#length++] = 0
    return this
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  /** Puts in the frame's length. */
  end(): this {
    this.#buffer.writeUInt32LE(this.bodyLength, this.#frame)
    return this
  }

  /** Leaves out the frame that was begun. */
  abandon(): void {
    this.#length = this.#frame
  }

  /** A copy of all frames, which are then forgotten. */
  take(): Buffer {
    const frames = Buffer.from(this.#buffer.subarray(0, this.#length))
    this.#length = 0
    // After a frame of megabytes, don't keep as much for good.
    if (this.#buffer.length > 1024 * 1024) this.#buffer = Buffer.allocUnsafeSlow(usualBytes)
    return frames
  }

  /** What was written since `from`, copied. */
  slice(from: number): Buffer {
    return Buffer.from(this.#buffer.subarray(from, this.#length))
  }
}

/** @internal */
export class Reader {
  readonly #buffer: Buffer
  #at: number

  constructor(buffer: Buffer, at: number) {
    this.#buffer = buffer
    this.#at = at
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#at++)
  }

  u16(): number {
    this.#at += 2
    return this.#buffer.readUInt16LE(this.#at - 2)
  }

  u32(): number {
    this.#at += 4
    return this.#buffer.readUInt32LE(this.#at - 4)
  }

  u64(): number {
    this.#at += 8
    return this.#buffer.readUInt32LE(this.#at - 8) + this.#buffer.readUInt32LE(this.#at - 4) * 0x1_0000_0000
  }

  bytes(length: number): Buffer {
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }

  string(): string {
    const length = this.u32()
    this.#at += length + 1
    return this.#buffer.toString("utf8", this.#at - length - 1, this.#at - 1)
  }
}

/**
 * Puts frames together from what the socket gives.
 *
 * @internal
 */
export class Frames {
  #rest: Buffer | undefined
  readonly #onFrame: (kind: number, body: Reader) => void

  constructor(onFrame: (kind: number, body: Reader) => void) {
    this.#onFrame = onFrame
  }

  push(chunk: Buffer): void {
    const data = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (data.length - at >= headerBytes) {
      const end = at + headerBytes + data.readUInt32LE(at)
      if (end > data.length) break
      this.#onFrame(data.readUInt16LE(at + 4), new Reader(data, at + headerBytes))
      at = end
    }
    this.#rest = at === data.length ? undefined : data.subarray(at)
  }
}
