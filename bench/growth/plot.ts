/** A line plot as SVG, with logarithmic axes. */

export interface Series {
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

export interface Plot {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: ReadonlyArray<Series>
}

export interface Axis {
  readonly label: string
  readonly show: (value: number) => string
}

export interface Fit {
  /** What one more of x costs in y, by least squares over all points. */
  readonly slope: number
  readonly intercept: number
  /** The power of x that y grows with, by the same on logarithms: 0 is constant, 1 proportional. */
  readonly exponent: number
}

const line = (
  points: ReadonlyArray<readonly [number, number]>
): { readonly slope: number; readonly intercept: number } => {
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const variance = points.reduce((sum, [px]) => sum + (px - x) ** 2, 0)
  const slope = variance === 0 ? Number.NaN : points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0) / variance
  return { slope, intercept: y - slope * x }
}

export const fit = (points: ReadonlyArray<readonly [number, number]>): Fit => ({
  ...line(points),
  exponent: line(points.map(([x, y]) => [Math.log(x), Math.log(y)])).slope
})

const [width, height, left, right, top, bottom] = [940, 420, 80, 410, 40, 56]

/** Told apart without colours too, by their order at the right edge. */
const colours = ["#0b6e4f", "#1f77b4", "#d62728", "#9467bd", "#ff7f0e", "#8c564b", "#7f7f7f"]

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const text = (x: number, y: number, content: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`

/** Powers of ten from below the least to above the greatest, a power of its own for each. */
const decades = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const from = Math.floor(Math.log10(Math.min(...values)))
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))))
  return Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i))
}

/** The labels of series that end near each other, moved apart. */
const apart = (positions: ReadonlyArray<number>): ReadonlyArray<number> => {
  const order = positions.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y)
  const moved = [...positions]
  let last = -Infinity
  for (const { i, y } of order) {
    last = Math.max(y, last + 15)
    moved[i] = last
  }
  return moved
}

export const draw = ({ series, title, x, y }: Plot): string => {
  const points = series.flatMap(({ points }) => points)
  const xs = points.map(([value]) => value)
  const [least, greatest] = [Math.min(...xs), Math.max(...xs)]
  const ticks = decades(points.map(([, value]) => value))
  const [floor = 1, ceiling = 10] = [ticks[0], ticks.at(-1)]
  const across = (value: number) =>
    left + (width - left - right) * (greatest === least ? 0 : Math.log(value / least) / Math.log(greatest / least))
  const up = (value: number) =>
    height - bottom - (height - top - bottom) * Math.log(value / floor) / Math.log(ceiling / floor)
  const grid = ticks.flatMap((tick) => [
    `<line x1="${left}" y1="${up(tick).toFixed(1)}" x2="${width - right}" y2="${up(tick).toFixed(1)}" stroke="#ddd"/>`,
    text(left - 8, up(tick) + 4, y.show(tick), "text-anchor=\"end\"")
  ])
  const columns = [...new Set(xs)].map((value) =>
    text(across(value), height - bottom + 18, x.show(value), "text-anchor=\"middle\"")
  )
  const ends = apart(series.map(({ points }) => up(points.at(-1)?.[1] ?? floor)))
  const lines = series.flatMap(({ name, points }, i) => {
    const colour = colours[i % colours.length]
    const path = points.map(([px, py]) => `${across(px).toFixed(1)},${up(py).toFixed(1)}`).join(" ")
    return [
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map(([px, py]) =>
        `<circle cx="${across(px).toFixed(1)}" cy="${up(py).toFixed(1)}" r="3" fill="${colour}"/>`
      ),
      text(width - right + 10, (ends[i] ?? 0) + 4, name, `fill="${colour}"`)
    ]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(left, 22, title, "font-size=\"15\" font-weight=\"bold\""),
    ...grid,
    ...columns,
    text((left + width - right) / 2, height - 14, x.label, "text-anchor=\"middle\""),
    text(0, 0, y.label, `text-anchor="middle" transform="translate(16 ${(top + height - bottom) / 2}) rotate(-90)"`),
    ...lines,
    "</svg>",
    ""
  ].join("\n")
}
