import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { requireProgram } from '../../scripts/programs.mjs';
import { temporaryFolder } from '../support/cli.js';
import { ROOT } from '../support/documents.js';

const folder = join(ROOT, 'deploy/systemd');
const units = readdirSync(folder).filter((name) => /\.(service|timer)$/.test(name));
const services = units.filter((name) => name.endsWith('.service'));

test('each job has a timer that also runs it after the host was off', () => {
  expect(services).toEqual(['jwtctl-reconcile.service', 'jwtctl-rotate.service', 'jwtctl-serve.service']);
  for (const name of ['jwtctl-reconcile.timer', 'jwtctl-rotate.timer']) {
    const timer = readFileSync(join(folder, name), 'utf8');
    expect(timer).toMatch(/^OnCalendar=/m);
    expect(timer).toMatch(/^Persistent=yes$/m);
  }
});

test('runs commands that the program has', async () => {
  const commands = services.map((name) => {
    const line = /^ExecStart=\/usr\/local\/bin\/jwtctl (.+)$/m.exec(readFileSync(join(folder, name), 'utf8'));
    return line?.[1] ?? '';
  });
  expect(commands).toEqual(['cache reconcile', 'keys rotate', 'serve']);
});

test('systemd waits until the server has stopped by itself', () => {
  const serve = readFileSync(join(folder, 'jwtctl-serve.service'), 'utf8');
  // The server kills a worker after serve.drain + 4 × timeout + 15 s.
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(serve)?.[1])).toBeGreaterThan(3 + 4 * 5 + 15);
  expect(serve).toMatch(/^KillMode=mixed$/m);
});

// The test report names what is skipped.
describe.skipIf(process.platform !== 'linux')('systemd-analyze', () => {
  const copy = temporaryFolder();

  beforeAll(() => {
    cpSync(folder, copy, { recursive: true });
    // The program has to exist.
    for (const name of services) {
      const text = readFileSync(join(copy, name), 'utf8');
      writeFileSync(join(copy, name), text.replaceAll('/usr/local/bin/jwtctl', '/bin/true'));
    }
  });

  function analyze(...args: string[]): { status: number | null; output: string } {
    const env = { PATH: process.env.PATH, SYSTEMD_UNIT_PATH: `${copy}:` };
    const { status, stdout, stderr } = spawnSync(requireProgram('systemd-analyze'), args, {
      env,
      encoding: 'utf8',
    });
    return { status, output: `${stdout}${stderr}` };
  }

  test('finds no fault in the units', () => {
    const paths = units.map((name) => join(copy, name));
    expect(analyze('verify', ...paths)).toEqual({ status: 0, output: '' });
  });

  test.each(services)('rates the exposure of %s at 1.5 or lower', (service) => {
    const { status, output } = analyze('security', '--offline=true', '--threshold=15', '--no-pager', service);
    expect(output).toContain('Overall exposure level');
    expect(status).toBe(0);
  });
});
