import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { freshMysqlDatabase, redisNodes } from '../support/servers.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../support/stores.js';

describe('a database without a schema', () => {
  test('every command except those of db is refused with the command to run', async () => {
    const { url, drop } = await freshMysqlDatabase();
    const shell = cli({ env: { JWTCTL_MYSQL_URL: url, JWTCTL_REDIS_NODES: redisNodes().join(',') } });
    shell.env.JWTCTL_MASTER_KEY_FILE = writeMasterKey(shell.home);
    try {
      for (const words of [
        ...[
          ['keys', 'generate'],
          ['keys', 'list'],
          ['keys', 'rotate'],
          ['users', 'add', 'a'],
          ['users', 'list'],
        ],
        ...[
          ['token', 'issue', '--sub', 'a'],
          ['token', 'verify', 'a.b.c'],
          ['cache', 'inspect'],
        ],
        ['cache', 'flush', '--all', '--yes'],
      ]) {
        const { exitCode, stdout, error } = await shell.run(...words, '--json');
        expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 3, stdout: '' });
        expect(`${error().message} ${error().hint}`).toContain('jwtctl db migrate');
      }
      expect((await shell.run('db', 'status', '--json')).exitCode).toBe(3);
      const planned = await shell.json('db', 'migrate', '--dry-run');
      expect(planned.applied).toEqual([]);
      expect(planned.wouldApply.length).toBeGreaterThan(3);
      expect((await shell.run('db', 'status', '--json')).exitCode).toBe(3);

      const applied = await shell.json('db', 'migrate');
      expect(applied.applied).toEqual(planned.wouldApply);
      expect(await shell.json('db', 'migrate')).toEqual({ applied: [] });
      expect(await shell.json('db', 'status')).toMatchObject({ current: true, pending: [] });
      expect(await shell.json('keys', 'list')).toEqual([]);
    } finally {
      await drop();
    }
  });
});

describe.each(BACKENDS)('the master key on %s', (backend) => {
  let stores: Stores;
  let masterKeyId = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    ({ masterKeyId } = await stores.json('keys', 'generate'));
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  async function issuingWith(file: string) {
    const env = { ...stores.env, JWTCTL_MASTER_KEY_FILE: file };
    const other = cli({ env, home: stores.home, clock: stores.clock });
    expect((await other.run('keys', 'list')).exitCode).toBe(0);
    const { exitCode, stdout, error } = await other.run('token', 'issue', '--sub', 'alice', '--json');
    return { exitCode, stdout, message: error().message };
  }

  test('a wrong one is refused, and the required one is named', async () => {
    const wrong = await issuingWith(writeMasterKey(stores.home, 'other.key'));
    expect(wrong).toMatchObject({ exitCode: 3, stdout: '' });
    expect(wrong.message).toContain(masterKeyId);
  });

  test('a missing one is refused, and the required one is named', async () => {
    const missing = await issuingWith(join(stores.home, 'missing.key'));
    expect(missing).toMatchObject({ exitCode: 3, stdout: '' });
    expect(missing.message).toContain('missing.key');
    expect(missing.message).toContain(masterKeyId);
    expect(existsSync(join(stores.home, 'missing.key'))).toBe(false);
  });

  test.each(['', 'x', 'A'.repeat(44), Buffer.alloc(16).toString('base64')])(
    'a file with %j is refused as a keyring',
    async (text) => {
      const file = join(stores.home, 'broken.key');
      writeFileSync(file, text, { mode: 0o600 });
      const broken = await issuingWith(file);
      expect(broken.exitCode).toBeGreaterThanOrEqual(2);
      expect(broken.exitCode).toBeLessThanOrEqual(3);
      expect(broken).toMatchObject({ stdout: '' });
      expect(broken.message).toContain(file);
      if (text.length > 10) expect(broken.message).not.toContain(text);
    },
  );

  test('a file that others can write to is refused', async () => {
    const file = writeMasterKey(stores.home, 'open.key');
    chmodSync(file, 0o666);
    expect(await issuingWith(file)).toMatchObject({ exitCode: 2, stdout: '' });
  });

  test('a keyring with the required key on its second line opens, and seals under the first', async () => {
    const right = readFileSync(
      stores.env.JWTCTL_MASTER_KEY_FILE ?? join(stores.home, 'data', 'jwtctl', 'jwtctl.db.master-key'),
      'utf8',
    );
    const first = readFileSync(writeMasterKey(stores.home, 'first.key'), 'utf8');
    const { clock, home, env } = stores;
    const other = cli({ clock, home, env: { ...env, JWTCTL_MASTER_KEY: `${first.trim()}\n${right}` } });
    delete other.env.JWTCTL_MASTER_KEY_FILE;
    expect((await other.run('token', 'issue', '--sub', 'alice')).exitCode).toBe(0);
    expect((await other.json('keys', 'generate')).masterKeyId).not.toBe(masterKeyId);
  });
});

describe('the embedded file', () => {
  test('a lost master key is not silently replaced', async () => {
    const shell = cli();
    const { masterKeyId } = await shell.json('keys', 'generate');
    const file = join(shell.home, 'data', 'jwtctl', 'jwtctl.db.master-key');
    unlinkSync(file);
    await shell.json('users', 'add', 'alice');

    const issuing = await shell.run('token', 'issue', '--sub', 'alice', '--json');
    expect(issuing.exitCode).toBe(3);
    expect(issuing.error().message).toContain(masterKeyId);
    expect((await shell.run('keys', 'generate')).exitCode).toBe(3);
    expect(existsSync(file)).toBe(false);
    expect(await shell.json('keys', 'list')).toHaveLength(1);
  });

  test('a file that is not an SQLite database is refused and not changed', async () => {
    const shell = cli();
    const file = join(shell.home, 'notes.txt');
    const text = 'Not a database, but somebody needs it.\n'.repeat(100);
    writeFileSync(file, text);
    for (const words of [
      ['keys', 'list'],
      ['keys', 'generate'],
      ['users', 'add', 'a'],
      ['db', 'migrate'],
    ]) {
      const { exitCode, stdout, error } = await shell.run(...words, '--data', file, '--json');
      expect({ words, exitCode, stdout }).toEqual({ words, exitCode: 3, stdout: '' });
      expect(error().message).toContain(file);
    }
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(readdirSync(shell.home).sort()).toEqual(['notes.txt']);
  });

  test('a folder without write access is named', async () => {
    const shell = cli();
    const file = join(shell.home, 'file');
    writeFileSync(file, '');
    mkdirSync(join(shell.home, 'folder'));
    // Even root cannot create a file below a file, or open a folder as a file.
    for (const data of [join(file, 'below', 'jwtctl.db'), join(shell.home, 'folder')]) {
      const { exitCode, stdout, error } = await shell.run('keys', 'generate', '--data', data, '--json');
      expect({ data, exitCode, stdout }).toEqual({ data, exitCode: 4, stdout: '' });
      expect(error().message).toContain(data.replace('/jwtctl.db', ''));
    }
  });
});
