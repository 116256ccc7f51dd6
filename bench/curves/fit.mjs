// How costs grow, and what they are measured in.

/** Exponent of the power of x that fits y best: the slope of the line through the logarithms. 0: flat, 1: linear, 2: quadratic. */
export function exponentOf(points) {
  const logs = points.map(({ x, y }) => [Math.log(x), Math.log(y)]);
  const mean = (at) => logs.reduce((sum, point) => sum + point[at], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const spread = logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
}

/** The steepest that any end of the curve is, of three points or more where there are as many: what hides in the mean of small sizes. */
export function steepestEnd(points) {
  const ends = points
    .slice(0, Math.max(1, points.length - 2))
    .map((_, from) => exponentOf(points.slice(from)));
  return Math.max(...ends);
}

/** CPU microseconds of this process, all of its threads: others on the machine disturb them less than they disturb the clock. */
export async function cpuMicros(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** Median over so many tries of what one of `count` costs. */
export async function costOf(tries, count, work) {
  const costs = [];
  for (let at = 0; at < tries; at += 1) costs.push((await cpuMicros(() => work(at))) / count);
  costs.sort((a, b) => a - b);
  return costs[Math.floor(costs.length / 2)];
}
