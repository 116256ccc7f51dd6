/** Loaded before an engine: its machine's clock is off by `TORTURE_CLOCK_MS`, and jumps about while it runs. */
const JUMP_MS = 86_400_000;
const JUMP_EVERY_MS = 20;

const { now } = Date;
let shiftMs = Number(process.env.TORTURE_CLOCK_MS);
Date.now = () => now() + shiftMs;
setInterval(() => {
  shiftMs = Number(process.env.TORTURE_CLOCK_MS) + Math.round((Math.random() - 0.5) * 2 * JUMP_MS);
}, JUMP_EVERY_MS).unref();

export {};
