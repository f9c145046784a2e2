import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';

const NO_VERIFIERS = 65_534;
/** Only root can give a file to another user. */
const isRoot = process.geteuid?.() === 0;

/** Runs commands on a new embedded store with one key. */
async function embedded(): Promise<{ shell: Cli; data: string }> {
  const shell = cli();
  const data = join(shell.home, 'store', 'jwtctl.db');
  shell.env.JWTCTL_DATA = data;
  expect((await shell.run('keys', 'generate')).exitCode).toBe(0);
  return { shell, data };
}

async function expectUnsafe(shell: Cli, file: string): Promise<void> {
  for (const words of [
    ['keys', 'list'],
    ['users', 'add', 'alice'],
  ]) {
    const refused = await shell.run(...words, '--json');
    expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIG_FILE_UNSAFE']);
    expect(refused.error().message).toContain(file);
  }
}

test.each([0o620, 0o602])(
  'an embedded store is refused if other users can write to it (mode %o)',
  async (mode) => {
    const { shell, data } = await embedded();
    chmodSync(data, mode);
    await expectUnsafe(shell, data);
    chmodSync(data, 0o600);
    expect((await shell.run('keys', 'list')).exitCode).toBe(0);
  },
);

test('an embedded store is refused, and none is created, if other users can write to its folder', async () => {
  const { shell, data } = await embedded();
  chmodSync(dirname(data), 0o777);
  await expectUnsafe(shell, data);

  const other = join(dirname(data), 'other.db');
  shell.env.JWTCTL_DATA = other;
  const refused = await shell.run('keys', 'generate', '--json');
  expect([refused.exitCode, refused.error().code]).toEqual([2, 'ERR_CONFIG_FILE_UNSAFE']);
  chmodSync(dirname(data), 0o700);
  expect((await shell.run('keys', 'list', '--json')).error().code).toBe('ERR_NO_STORE');
});

test('an embedded store may be in a sticky folder', async () => {
  const { shell, data } = await embedded();
  chmodSync(dirname(data), 0o1777);
  expect((await shell.run('keys', 'list')).exitCode).toBe(0);
});

test.runIf(isRoot)('an embedded store or a link to it is refused if another user owns it', async () => {
  const { shell, data } = await embedded();
  const link = join(dirname(data), 'link.db');
  symlinkSync(data, link);
  shell.env.JWTCTL_DATA = link;
  expect((await shell.run('keys', 'list')).exitCode).toBe(0);
  lchownSync(link, NO_VERIFIERS, NO_VERIFIERS);
  await expectUnsafe(shell, link);

  shell.env.JWTCTL_DATA = data;
  chownSync(data, NO_VERIFIERS, NO_VERIFIERS);
  await expectUnsafe(shell, data);
});

test.runIf(isRoot)('files of another user next to an embedded store are refused', async () => {
  const { shell, data } = await embedded();
  chmodSync(dirname(data), 0o1777);
  const elsewhere = join(shell.home, 'elsewhere');
  mkdirSync(elsewhere);
  symlinkSync(data, join(elsewhere, 'link.db'));
  const log = `${data}-wal`;
  writeFileSync(log, '', { mode: 0o600 });
  chownSync(log, NO_VERIFIERS, NO_VERIFIERS);
  await expectUnsafe(shell, log);
  shell.env.JWTCTL_DATA = join(elsewhere, 'link.db');
  await expectUnsafe(shell, log);
});
