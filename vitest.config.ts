import { defineConfig } from 'vitest/config';
import { pageModule } from './scripts/page.mjs';

/** Loads Lua scripts as text, as the build does. */
const lua = {
  name: 'lua',
  transform: (code: string, id: string) =>
    id.endsWith('.lua') ? `export default ${JSON.stringify(code)}` : undefined,
};

/** Builds the page, as the build does. */
const page = {
  name: 'page',
  enforce: 'pre' as const,
  load: async (id: string) => (id.endsWith('/page.html') ? (await pageModule()).contents : undefined),
};

export default defineConfig({
  plugins: [lua, page],
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
