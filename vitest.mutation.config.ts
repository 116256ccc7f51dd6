import { defineConfig } from 'vitest/config';

/** The tests of the core alone, for the mutants of the core. */
export default defineConfig({
  test: {
    include: ['src/core/**/*.test.ts'],
    // the first reads the source as text, and a mutant's is full of what the core must not have; the others try thousands of random
    // inputs, which would take hours for all mutants
    exclude: ['src/core/purity.test.ts', 'src/core/properties.test.ts', 'src/core/replay.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
  },
});
