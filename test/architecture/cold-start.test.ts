import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/cli.js';
import { BIN, spawnProgram } from '../support/spawned.js';

const HOOK = fileURLToPath(new URL('../support/log-packages.cjs', import.meta.url));
const SAMPLE = `${encode({ alg: 'RS256', kid: 'k' })}.${encode({ sub: 'alice' })}.AAAA`;

/** Returns the packages in the scripts that one run of the built command line loads. */
async function packagesOf(argv: string[], env: Record<string, string> = {}) {
  const home = temporaryFolder();
  const log = join(home, 'packages.log');
  const ended = await spawnProgram(process.execPath, ['--require', HOOK, BIN, ...argv], {
    env: { HOME: home, PACKAGE_LOG: log, ...env },
  });
  const names = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  const packages = [...new Set(names)].filter((name) => name !== '(script)').sort();
  return { ...ended, packages, scripts: names.filter((name) => name === '(script)').length };
}

test('--version loads no script', async () => {
  const { exitCode, stdout, scripts } = await packagesOf(['--version']);

  expect({ exitCode, scripts }).toEqual({ exitCode: 0, scripts: 0 });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test.each([['--help'], ['-h'], ['help'], ['keys', '--help'], ['token', 'issue', '--help']])(
  'help (%s %s) loads only commander',
  async (...argv) => {
    const { exitCode, stdout, stderr, packages } = await packagesOf(
      argv.filter((word) => word !== undefined),
    );

    expect({ exitCode, stderr, packages }).toEqual({ exitCode: 0, stderr: '', packages: ['commander'] });
    expect(stdout).toContain('Usage: jwtctl');
  },
);

test('token decode loads no driver and opens no store', async () => {
  const { exitCode, stdout, packages } = await packagesOf(['token', 'decode', SAMPLE, '--json'], {
    JWTCTL_MYSQL_URL: 'mysql://u@127.0.0.1:1/db',
    JWTCTL_REDIS_NODES: '127.0.0.1:1',
  });

  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout).payload).toEqual({ sub: 'alice' });
  expect(packages).toEqual(['commander']);
});

test('the embedded store loads no driver of a server', async () => {
  const { exitCode, packages } = await packagesOf(['users', 'add', 'alice', '--json']);

  expect(exitCode).toBe(0);
  expect(packages).toContain('libsql');
  for (const absent of [
    'ioredis',
    'mysql2',
    'inquirer',
    'fastify',
    'pino',
    'prom-client',
    '@opentelemetry/api',
  ])
    expect(packages).not.toContain(absent);
});

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
