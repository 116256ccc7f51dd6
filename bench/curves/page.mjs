// The page that shows the curves.

export function page(curves) {
  const parts = Object.entries(curves).map(([name, curve]) => section(name, curve));
  return `# Cost curves

Written by \`node bench/curves.mjs\`. Costs are CPU time of the process with all its threads, medians of a few tries, in microseconds; both axes are
logarithmic. The power says how a cost grows: 0 is flat, 1 linear; more than that is a defect. "At its steepest" is the power of the
steepest end of the curve.

${parts.join('\n')}`;
}

function section(name, { title, at, machine, note, dominant, series }) {
  const sizes = series[0].points.map(({ x }) => x.toLocaleString('en'));
  const head = ['what', 'power', 'at its steepest', ...sizes];
  const rows = series.map((one) => [
    one.name,
    one.exponent.toFixed(2),
    one.steepest.toFixed(2),
    ...one.points.map(({ y }) => Math.round(y).toLocaleString('en')),
  ]);
  const align = ['---', ...head.slice(1).map(() => '--:')];
  const table = [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const about = [`${at}, ${machine}`, ...(note === '' ? [] : [note])].join('; ');
  return `## ${title}

${dominant}

![${title}](${name}.svg)

${table}

${about}.
`;
}
