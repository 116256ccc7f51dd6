import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    // most wait for programs that they have started, so one less than the processors would leave the machine idle
    maxWorkers: '100%',
    // some start a dozen programs, and machines that do other things beside need their time
    testTimeout: 90_000,
    hookTimeout: 90_000,
    coverage: {
      provider: 'v8',
      include: ['src/core/**/*.ts'],
      exclude: ['src/core/**/*.test.ts', 'src/core/**/*.suite.ts'],
      thresholds: { 100: true },
    },
  },
});
