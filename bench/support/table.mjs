// Tables in markdown and figures as people read them.

/**
 * A markdown table, padded so that it is readable as text. The first column is left-aligned, the others right.
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function markdownTable(header, rows) {
  const widths = header.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  /** @param {readonly string[]} cells */
  const line = (cells) =>
    `| ${widths.map((width, i) => (i === 0 ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

/**
 * 1234567 as "1,234,567".
 * @param {number} value
 */
export function thousands(value) {
  return Math.round(value).toLocaleString("en-US");
}

/**
 * Three significant digits at least, whole numbers from 100 on.
 * @param {number} value
 */
export function shortNumber(value) {
  if (value >= 100) return thousands(value);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${shortNumber(bytes / 1e6)} MB`;
}

/** @param {number} microseconds */
export function milliseconds(microseconds) {
  return shortNumber(microseconds / 1000);
}
