/** What a terminal shows, by an emulator. */
import xterm from "@xterm/headless"

/** @internal */
export class Screen {
  private readonly terminal: InstanceType<typeof xterm.Terminal>
  /** What it showed when it was closed. */
  private last: string | undefined

  /** `answer`: what a terminal says by itself, when it is asked where the cursor is, or what it can do. */
  constructor(columns: number, rows: number, answer: (text: string) => void) {
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 })
    this.terminal.onData(answer)
  }

  /** Calls back when it shows it. */
  write(bytes: Uint8Array, shown: () => void): void {
    if (this.last === undefined) this.terminal.write(bytes, shown)
  }

  /** Calls back when everything that was written before is shown. */
  settled(callback: () => void): void {
    if (this.last === undefined) this.terminal.write("", callback)
    else callback()
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows)
  }

  get applicationCursorKeys(): boolean {
    return this.terminal.modes.applicationCursorKeysMode
  }

  /** Its lines, without the blanks at their ends and the empty ones at the end. */
  get text(): string {
    return this.last ?? this.draw(() => "\n")
  }

  /** The same with lines that are too long for it in one piece, so that words can be found in it. */
  get unwrapped(): string {
    return this.last ?? this.draw((isWrapped) => isWrapped ? "" : "\n")
  }

  private draw(between: (isWrapped: boolean) => string): string {
    const { active } = this.terminal.buffer
    let text = ""
    for (let y = 0; y < this.terminal.rows; y++) {
      const line = active.getLine(active.baseY + y)
      if (y > 0) text += between(line?.isWrapped ?? false)
      text += line?.translateToString(true) ?? ""
    }
    return text.trimEnd()
  }

  close(): void {
    this.last ??= this.text
    this.terminal.dispose()
  }
}
