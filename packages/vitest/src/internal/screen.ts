/** What a terminal shows, by an emulator. */
import xterm from "@xterm/headless"

/** @internal */
export class Screen {
  private readonly terminal: InstanceType<typeof xterm.Terminal>

  /** `answer`: what a terminal says by itself, when it is asked where the cursor is, or what it can do. */
  constructor(columns: number, rows: number, answer: (text: string) => void) {
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 })
    this.terminal.onData(answer)
  }

  /** Calls back when it shows it. */
  write(bytes: Uint8Array, shown: () => void): void {
    this.terminal.write(bytes, shown)
  }

  /** Calls back when everything that was written before is shown. */
  settled(callback: () => void): void {
    this.terminal.write("", callback)
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows)
  }

  get applicationCursorKeys(): boolean {
    return this.terminal.modes.applicationCursorKeysMode
  }

  /** Its lines, without the blanks at their ends and the empty ones at the end. */
  get text(): string {
    const { active } = this.terminal.buffer
    const lines = Array.from(
      { length: this.terminal.rows },
      (_, y) => active.getLine(active.baseY + y)?.translateToString(true) ?? ""
    )
    return lines.join("\n").trimEnd()
  }

  close(): void {
    this.terminal.dispose()
  }
}
