// A curve as SVG, with both axes logarithmic: a power of x is a straight line, and its steepness the power.
import { init } from 'echarts';

/** The same figures give the same text. */
export function plot({ title, x, machine, series }) {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 760, height: 420 });
  const [least, most] = boundsOf(series.flatMap(({ points }) => points.map(({ y }) => y)));
  const sizes = series[0].points.map((point) => point.x);
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    title: { text: title, subtext: machine, left: 12, top: 8 },
    legend: { bottom: 8, left: 12, orient: 'vertical' },
    grid: { left: 108, right: 90, top: 66, bottom: 52 + 22 * series.length },
    xAxis: { type: 'log', name: x, nameLocation: 'middle', nameGap: 26, min: sizes[0], max: sizes.at(-1) },
    yAxis: { type: 'log', name: 'CPU µs', nameLocation: 'middle', nameGap: 82, min: least, max: most },
    series: series.map(({ name, exponent, points }) => ({
      type: 'line',
      name: `${name}: grows with the power ${exponent.toFixed(2)}`,
      data: points.map((point) => [point.x, point.y]),
      symbolSize: 6,
    })),
  });
  const svg = chart.renderToSVGString();
  // it would keep the process going
  chart.dispose();
  return svg;
}

/** Whole powers of ten around the values. */
function boundsOf(values) {
  return [
    10 ** Math.floor(Math.log10(Math.min(...values))),
    10 ** Math.ceil(Math.log10(Math.max(...values))),
  ];
}
