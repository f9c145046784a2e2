#!/usr/bin/env node
import { readFileSync } from 'node:fs';

if (process.argv.length === 3 && process.argv[2] === '--version') {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  process.stdout.write(`${version}\n`);
} else {
  const { main } = await import('../dist/cli/main.js');
  const interruption = new AbortController();
  process.on('SIGINT', () => {
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
  // A reader that goes away is reported by the write itself; without a listener it would also end the process loudly.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const { stdin, stdout, stderr, env } = process;
  process.exitCode = await main(
    process.argv.slice(2),
    { stdin, stdout, stderr, env, cwd: process.cwd() },
    interruption.signal,
  );
}
