import { defineConfig } from 'vitest/config';

/** Loads Lua scripts as text, as the build does. */
const lua = {
  name: 'lua',
  transform: (code: string, id: string) =>
    id.endsWith('.lua') ? `export default ${JSON.stringify(code)}` : undefined,
};

export default defineConfig({
  plugins: [lua],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/worker-setup.ts'],
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // A failing test leaves its console lines in the report, a passing one does not.
    silent: 'passed-only',
  },
});
