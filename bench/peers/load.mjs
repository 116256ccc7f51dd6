// What every peer's program shares: the load of `bench/scenario.mjs`, and the line that it prints.
const [, , inFlightText, secondsText] = process.argv;
const inFlight = Number(inFlightText);
const seconds = Number(secondsText);
const WARM_UP_SECONDS = 3;

/** About 200 bytes that each step hands on. */
export const ARTIFACT = { name: 'result', kind: 'code', content: 'x'.repeat(200) };

/** Keeps `inFlight` workflows going, `one` being a whole one, after warming up for three seconds. Prints the figures and ends the process. */
export async function measure(one) {
  await during(WARM_UP_SECONDS, one);
  const latencies = [];
  const ms = await during(seconds, async () => {
    const start = performance.now();
    await one();
    latencies.push(performance.now() - start);
  });
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  const result = { perSecond: (latencies.length / ms) * 1000, p50: at(0.5), p99: at(0.99) };
  process.stdout.write(`\n${JSON.stringify(result)}\n`, () => process.exit(0));
}

async function during(howLong, one) {
  const began = performance.now();
  const line = async () => {
    while (performance.now() - began < howLong * 1000) await one();
  };
  await Promise.all(Array.from({ length: inFlight }, line));
  return performance.now() - began;
}
