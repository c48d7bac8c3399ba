// Curves as an SVG, drawn by ECharts, readable on light and on dark ground.

import { init } from "echarts";

const panelWidth = 420;
const panelHeight = 240;
const columnsMax = 2;
const titleHeight = 56;
const margin = { left: 64, right: 24, top: 36, bottom: 44 };
const gray = "#888888";
const colors = ["#3b82f6", "#ef4444"];

/** @typedef {{ x: number, y: number }} Point */
/** @typedef {{ name: string, points: readonly Point[] }} Line */
/** @typedef {{ title: string, yLabel: string, lines: readonly Line[] }} Panel */

/**
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.xLabel
 * @param {readonly Panel[]} plot.panels side by side, over the same x
 * @param {boolean} [plot.isLogarithmic] both axes
 * @returns {string}
 */
export function svgPlot({ title, xLabel, panels, isLogarithmic = false }) {
  const columns = Math.min(columnsMax, panels.length);
  const width = columns * panelWidth;
  const height = titleHeight + Math.ceil(panels.length / columns) * panelHeight;
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  const axis = /** @type {const} */ ({
    type: isLogarithmic ? "log" : "value",
    axisLine: { lineStyle: { color: gray } },
    axisLabel: { color: gray, formatter: short },
    splitLine: { lineStyle: { color: gray, opacity: 0.3 } },
    nameTextStyle: { color: gray },
  });
  const places = panels.map((_, i) => ({
    left: (i % columns) * panelWidth + margin.left,
    top: titleHeight + Math.floor(i / columns) * panelHeight + margin.top,
  }));
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  chart.setOption({
    animation: false,
    color: colors,
    title: [
      { text: title, left: "center", top: 4, textStyle: { color: gray, fontSize: 14 } },
      ...panels.map((panel, i) => ({
        text: panel.title,
        left: places[i]?.left ?? 0,
        top: (places[i]?.top ?? 0) - margin.top + 2,
        textStyle: { color: gray, fontSize: 11 },
      })),
    ],
    legend: { data: names.length > 1 ? names : [], top: 26, textStyle: { color: gray } },
    grid: places.map(({ left, top }) => ({
      left,
      top,
      width: panelWidth - margin.left - margin.right,
      height: panelHeight - margin.top - margin.bottom,
    })),
    xAxis: panels.map((_, gridIndex) => ({
      ...axis,
      gridIndex,
      name: xLabel,
      nameLocation: "middle",
      nameGap: 24,
    })),
    yAxis: panels.map(({ yLabel }, gridIndex) => ({
      ...axis,
      gridIndex,
      name: yLabel,
      nameLocation: "middle",
      nameGap: 44,
      nameRotate: 90,
    })),
    series: panels.flatMap(({ lines }, index) =>
      lines.map(({ name, points }) => ({
        type: "line",
        name,
        xAxisIndex: index,
        yAxisIndex: index,
        color: colors[names.indexOf(name)],
        symbolSize: isLogarithmic ? 5 : 0,
        data: points.map(({ x, y }) => [x, y]),
      })),
    ),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

/** @param {number} value */
function short(value) {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  return value >= 1e3 ? `${Number((value / 1e3).toPrecision(3))}k` : `${Number(value.toPrecision(3))}`;
}
