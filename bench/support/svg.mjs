// A curve as a small SVG, readable on light and on dark ground.

const width = 640;
const height = 240;
const margin = { left: 56, right: 16, top: 32, bottom: 40 };
const ticks = 4;

/**
 * @param {string} title
 * @param {string} xLabel
 * @param {string} yLabel
 * @param {readonly { x: number, y: number }[]} points
 */
export function lineChart(title, xLabel, yLabel, points) {
  const xMax = Math.max(...points.map(({ x }) => x), Number.MIN_VALUE);
  const yMax = roundUp(Math.max(...points.map(({ y }) => y), Number.MIN_VALUE));
  const across = (/** @type {number} */ x) => margin.left + (x / xMax) * (width - margin.left - margin.right);
  const down = (/** @type {number} */ y) => height - margin.bottom - (y / yMax) * (height - margin.top - margin.bottom);
  const line = points.map(({ x, y }) => `${across(x).toFixed(1)},${down(y).toFixed(1)}`).join(" ");
  const marks = Array.from({ length: ticks + 1 }, (_, i) => i / ticks);
  const text = (
    /** @type {number} */ x,
    /** @type {number} */ y,
    /** @type {string} */ anchor,
    /** @type {string} */ content,
  ) => `  <text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${content}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="#888">`,
    text(width / 2, 16, "middle", title),
    ...marks.map((part) => {
      const y = down(part * yMax);
      return [
        `  <line x1="${margin.left}" x2="${width - margin.right}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#888" stroke-opacity="0.3"/>`,
        text(margin.left - 6, y + 4, "end", short(part * yMax)),
        text(across(part * xMax), height - margin.bottom + 16, "middle", short(part * xMax)),
      ].join("\n");
    }),
    text(width / 2, height - 6, "middle", xLabel),
    text(margin.left, margin.top - 10, "start", yLabel),
    `  <polyline points="${line}" fill="none" stroke="#3b82f6" stroke-width="1.5"/>`,
    "</svg>",
    "",
  ].join("\n");
}

/**
 * 1, 2 or 5 times a power of ten.
 * @param {number} value
 */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

/** @param {number} value */
function short(value) {
  return Number(value.toPrecision(3)).toString();
}
