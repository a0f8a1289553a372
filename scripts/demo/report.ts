// What the demo says: headings, the picture, lines with a mark. Colours on a terminal only, and not with NO_COLOR
// (https://no-color.org).

const STYLE = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const
type Style = keyof typeof STYLE

/** MAC addresses, IP addresses with or without a length, lines of boxes. */
const TOKENS =
  /(?<mac>\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b)|(?<ip>\b\d+\.\d+\.\d+\.\d+(?:\/\d+)?|\b[0-9a-f]{1,4}:[0-9a-f:]*:[0-9a-f]*(?:\/\d+)?)|(?<line>[─│┌┐└┘├┤┬┴┼]+)/g

const WIDTH = 100
const LABEL_WIDTH = 46

export class Report {
  readonly #colours: boolean
  #failed = 0
  #passed = 0

  constructor({ colours }: { colours: boolean }) {
    this.#colours = colours
  }

  get failed(): number {
    return this.#failed
  }

  heading(text: string, ...explanation: readonly string[]): void {
    this.#print('', this.#style('bold', text), ...explanation.map((line) => `  ${line}`))
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) this.#print(`  ${line.replaceAll(TOKENS, (...match) => this.#paint(match))}`)
  }

  pass(what: string, seen = ''): void {
    this.#passed++
    this.#mark('green', '✓', what, seen)
  }

  fail(what: string, why: string): void {
    this.#failed++
    this.#mark('red', '✗', what, why)
  }

  /** @param proof  tells what was seen; that it throws is the only way not to hold */
  async prove(what: string, proof: () => string | Promise<string>): Promise<void> {
    try {
      this.pass(what, await proof())
    } catch (error) {
      this.fail(what, error instanceof Error ? error.message : String(error))
    }
  }

  end(): void {
    const verdict =
      this.#failed === 0 ? this.#style('green', 'all true') : this.#style('red', `${this.#failed} NOT TRUE`)
    this.#print('', `${this.#passed + this.#failed} claims, ${verdict}`)
  }

  #mark(style: Style, mark: string, what: string, seen: string): void {
    const [first = '', ...more] = wrap(`${what.padEnd(LABEL_WIDTH)} ${seen}`.trimEnd(), WIDTH - 4)
    this.#print(`  ${this.#style(style, mark)} ${first}`, ...more.map((line) => `    ${line}`))
  }

  #paint(match: readonly unknown[]): string {
    const text = String(match[0])
    const { mac, ip } = match.at(-1) as { mac?: string; ip?: string }
    return this.#style(mac ? 'yellow' : ip ? 'cyan' : 'dim', text)
  }

  #style(style: Style, text: string): string {
    return this.#colours ? `\x1b[${STYLE[style]}m${text}\x1b[0m` : text
  }

  #print(...lines: readonly string[]): void {
    for (const line of lines) process.stdout.write(`${line}\n`)
  }
}

/** Breaks at spaces, as late as possible. */
function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text]
  const space = text.lastIndexOf(' ', width)
  const end = space > 0 ? space : width
  return [text.slice(0, end).trimEnd(), ...wrap(text.slice(end).trimStart(), width)]
}
