import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Cli, cli, everythingPrinted } from '../../../support/cli.js';
import { type PrivateJwk, secretsOf, writeKeyFile } from '../../../support/private-keys.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';

/** Stands in for the prompts: the answers, and the questions that were asked. */
const person = vi.hoisted(() => ({ types: '', wasAsked: [] as string[] }));
vi.mock('../../../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: {
    typeBack: async (question: string) => {
      person.wasAsked.push(question);
      return person.types;
    },
  },
}));

/** Every private key that a test in this file has exported. */
const exported: PrivateJwk[] = [];

const modeOf = (file: string) => statSync(file).mode & 0o777;

function readSet(file: string): PrivateJwk[] {
  const { keys } = JSON.parse(readFileSync(file, 'utf8'));
  exported.push(...keys);
  return keys;
}

async function refusal(shell: Cli, ...words: string[]) {
  const { exitCode, stdout, error } = await shell.run('keys', 'export', ...words, '--json');
  expect({ words, stdout }).toEqual({ words, stdout: '' });
  return { exitCode, code: error().code, text: `${error().message} ${error().hint}` };
}

describe.each(BACKENDS)('private export, from %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    for (const kid of ['gone', 'old', 'now', 'next']) await stores.json('keys', 'generate', '--kid', kid);
    await stores.json('keys', 'activate', 'old', '--now');
    await stores.json('keys', 'retire', 'gone', '--force');
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    await stores.json('keys', 'activate', 'now', '--now');
  });
  afterAll(() => stores?.close());

  const auditRows = async () =>
    (
      await stores.query(
        "SELECT target, outcome, reason FROM audit_log WHERE action = 'keys.export' ORDER BY seq",
      )
    ).map(({ target, outcome, reason }) => [target, outcome, reason]);

  test('writes one key as PKCS#8 PEM, readable only for its owner', async () => {
    const file = join(stores.home, 'now.private.pem');
    const printed = await stores.json('keys', 'export', '--kid', 'now', '--pem', '--private', '--yes');
    expect(printed).toEqual({ file, format: 'pem', kids: ['now'] });
    expect(modeOf(file)).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    expect(text).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const publicPem = (await stores.run('keys', 'export', '--kid', 'now', '--pem')).stdout;
    expect(createPublicKey(createPrivateKey(text)).equals(createPublicKey(publicPem))).toBe(true);
    exported.push(createPrivateKey(text).export({ format: 'jwk' }) as PrivateJwk);
    expect(await auditRows()).toEqual([['now', 'private', `to ${file}`]]);
  });

  test('writes all private keys as a JWK Set, the active one first', async () => {
    const file = join(stores.home, 'out.json');
    const words = ['keys', 'export', '--private', '--out', 'out.json', '--yes'];
    const { exitCode, stdout, stderr } = await stores.run(...words, '--jwks');
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: `${file}\n` });
    expect(stderr).toContain('can sign');
    expect(modeOf(file)).toBe(0o600);
    const keys = readSet(file);
    const members = ['kty', 'kid', 'use', 'alg', 'n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'];
    for (const key of keys) expect(Object.keys(key)).toEqual(members);
    expect(keys).toMatchObject(
      ['now', 'next', 'old'].map((kid) => ({ kty: 'RSA', kid, use: 'sig', alg: 'RS256' })),
    );
    expect((await auditRows()).slice(1)).toEqual(
      ['now', 'next', 'old'].map((kid) => [kid, 'private', `to ${file}`]),
    );
  });

  test('can be imported unchanged into another store', async () => {
    await stores.run('keys', 'export', '--private', '--out', 'move.json', '--yes');
    await stores.run('keys', 'export', '--private', '--kid', 'old', '--pem', '--out', 'old.pem', '--yes');
    readSet(join(stores.home, 'move.json'));
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    const there = await openStores(backend);
    try {
      await there.json('keys', 'import', '--pem', join(stores.home, 'old.pem'), '--kid', 'old');
      const keys = await there.json(
        'keys',
        'import',
        '--jwk',
        join(stores.home, 'move.json'),
        '--sign',
        'now',
      );
      expect(keys).toMatchObject([
        { kid: 'now', state: 'pending' },
        { kid: 'next', verifyOnly: true },
        { kid: 'old', state: 'active' },
      ]);
      await there.json('keys', 'activate', 'now', '--now');
      const issued = await there.json('token', 'issue', '--sub', 'alice', '--create-user');
      expect(issued.kid).toBe('now');
      expect(await there.json('token', 'verify', issued.token)).toMatchObject({ active: true });
      // The token was registered here, and its signature is valid in the other store.
      const elsewhere = await there.run('token', 'verify', token, '--json');
      expect(elsewhere.json()).toMatchObject({ error: { code: 'ERR_TOKEN_NOT_REGISTERED' } });
    } finally {
      await there.close();
    }
  });

  test('refuses a key without a private key before it asks', async () => {
    for (const words of [[], ['--yes'], ['--dry-run']]) {
      expect(await refusal(stores, '--kid', 'gone', '--pem', '--private', ...words)).toMatchObject({
        exitCode: 3,
        code: 'ERR_PRIVATE_KEY_MISSING',
      });
    }
    expect(await refusal(stores, '--kid', 'unknown', '--pem', '--private', '--yes')).toMatchObject({
      exitCode: 3,
      code: 'ERR_KEY_UNKNOWN',
    });
    expect(existsSync(join(stores.home, 'gone.private.pem'))).toBe(false);
  });

  test('writes nothing in a dry run, or without a confirmation', async () => {
    const before = await stores.content();
    const files = readdirSync(stores.home);
    expect(await stores.json('keys', 'export', '--private', '-n')).toEqual({
      file: join(stores.home, 'jwks.private.json'),
      format: 'jwks',
      kids: ['now', 'next', 'old'],
      dryRun: true,
    });
    const { stdout, stderr } = await stores.run('keys', 'export', '--private', '-n');
    expect(stdout).toContain('3 private keys');
    expect(stderr).toContain('Dry run');
    for (const words of [
      ['--private'],
      ['--private', '--no-input'],
      ['--private', '--pem', '--kid', 'now', '--out', 'x'],
    ]) {
      const refused = await refusal(stores, ...words);
      expect(refused).toMatchObject({ exitCode: 2, code: 'ERR_CONFIRMATION_NEEDED' });
      expect(refused.text).toContain('--yes');
    }
    expect(readdirSync(stores.home)).toEqual(files);
    expect(await stores.content()).toBe(before);
  });

  test('creates no file for a key whose row another program changed', async () => {
    const { private_key: sealed } = (
      await stores.query("SELECT private_key FROM keystore WHERE kid = 'next'")
    )[0] as { private_key: string };
    const { private_key: another } = (
      await stores.query("SELECT private_key FROM keystore WHERE kid = 'old'")
    )[0] as { private_key: string };
    await stores.query("UPDATE keystore SET private_key = ? WHERE kid = 'next'", [another]);
    const before = await auditRows();
    expect(await refusal(stores, '--private', '--yes')).toMatchObject({
      exitCode: 3,
      code: 'ERR_DECRYPTION_FAILED',
    });
    expect(existsSync(join(stores.home, 'jwks.private.json'))).toBe(false);
    expect(await auditRows()).toEqual(before);
    await stores.query("UPDATE keystore SET private_key = ? WHERE kid = 'next'", [sealed]);
  });

  test('creates no file if the audit log cannot be written', async () => {
    await stores.query('ALTER TABLE audit_head RENAME TO audit_head_away');
    try {
      const { exitCode } = await stores.run('keys', 'export', '--private', '--yes', '--json');
      expect(exitCode).not.toBe(0);
      expect(existsSync(join(stores.home, 'jwks.private.json'))).toBe(false);
    } finally {
      await stores.query('ALTER TABLE audit_head_away RENAME TO audit_head');
    }
  });
});

describe('keys export --private', () => {
  let shell: Cli;

  beforeEach(async () => {
    shell = cli();
    await shell.json('keys', 'generate', '--kid', 'k1');
    person.wasAsked.length = 0;
  });

  test('overwrites no file, folder, or link', async () => {
    writeKeyFile(shell.home, 'file', 'kept');
    mkdirSync(join(shell.home, 'folder'));
    symlinkSync(join(shell.home, 'nowhere'), join(shell.home, 'link'));
    for (const name of ['file', 'folder', 'link', '/dev/stdout', '']) {
      expect(await refusal(shell, '--private', '--yes', `--out=${name}`)).toMatchObject({
        exitCode: 2,
        code: 'ERR_FILE_EXISTS',
      });
      expect(await refusal(shell, '--private', '-n', `--out=${name}`)).toMatchObject({
        code: 'ERR_FILE_EXISTS',
      });
    }
    expect(readFileSync(join(shell.home, 'file'), 'utf8')).toBe('kept');
    expect(existsSync(join(shell.home, 'nowhere'))).toBe(false);
    await shell.json('keys', 'export', '--private', '--yes');
    readSet(join(shell.home, 'jwks.private.json'));
    expect(await refusal(shell, '--private', '--yes')).toMatchObject({ code: 'ERR_FILE_EXISTS' });
  });

  test('writes one complete file with two concurrent exports', async () => {
    const words = ['keys', 'export', '--private', '--yes', '--json'];
    const ended = await Promise.all([shell.run(...words), shell.run(...words)]);
    expect(ended.map(({ exitCode }) => exitCode).sort()).toEqual([0, 2]);
    expect(readSet(join(shell.home, 'jwks.private.json'))).toHaveLength(1);
  });

  test('names a file that cannot be created', async () => {
    expect(await refusal(shell, '--private', '--yes', '--out', 'absent/keys.json')).toMatchObject({
      exitCode: 2,
      code: 'ERR_FILE_UNWRITABLE',
      text: expect.stringContaining('absent/keys.json'),
    });
    for (const name of ['a\nb', `a${'b'.repeat(900)}`]) {
      expect(await refusal(shell, '--private', '--yes', '--out', name)).toMatchObject({
        exitCode: 2,
        code: 'ERR_FILE_NAME_INVALID',
      });
    }
  });

  test.each([
    [['--out', 'x']],
    [['--jwks', '--out', 'x']],
    [['--kid', 'k1', '--pem', '--out', 'x']],
    [['--private', '--out', '-']],
    [['--private', '--pem']],
    [['--private', '--kid', 'k1']],
    [['--private', '--pem', '--jwks', '--kid', 'k1']],
  ])('refuses the contradictory flags %j', async (words) => {
    expect(await refusal(shell, ...words, '--yes')).toMatchObject({
      exitCode: 2,
      code: 'ERR_FLAG_COMBINATION',
    });
    expect(existsSync(join(shell.home, 'x'))).toBe(false);
  });

  test('asks the user to type the kid of a key, or `private` for all keys', async () => {
    const pem = ['keys', 'export', '--kid', 'k1', '--pem', '--private'];
    const set = ['keys', 'export', '--private'];
    for (const types of ['', 'y', 'yes', 'K1', 'private']) {
      person.types = types;
      const { exitCode, error } = await runAtTerminal(shell, ...pem, '--json');
      expect({ types, exitCode, code: error().code }).toEqual({
        types,
        exitCode: 130,
        code: 'ERR_NOT_CONFIRMED',
      });
    }
    person.types = 'k1';
    expect((await runAtTerminal(shell, ...set)).exitCode).toBe(130);
    expect(readdirSync(shell.home).filter((name) => name.includes('private'))).toEqual([]);

    expect((await runAtTerminal(shell, ...pem)).exitCode).toBe(0);
    person.types = 'private';
    expect((await runAtTerminal(shell, ...set, '-q')).stdout).toBe(
      `${join(shell.home, 'jwks.private.json')}\n`,
    );
    readSet(join(shell.home, 'jwks.private.json'));
    expect(person.wasAsked.at(-2)).toContain('k1.private.pem');
    expect(person.wasAsked.at(-1)).toContain('Type private');
  });

  test('refuses an empty key store', async () => {
    const empty = cli();
    expect(await refusal(empty, '--private', '--yes')).toMatchObject({ exitCode: 3, code: 'ERR_NO_STORE' });
    await empty.json('users', 'add', 'alice');
    expect(await refusal(empty, '--private', '--yes')).toMatchObject({ exitCode: 3, code: 'ERR_NO_KEYS' });
  });
});

test('never prints a private key', () => {
  const printed = everythingPrinted.join('\n');
  expect(exported.length).toBeGreaterThan(8);
  for (const secret of secretsOf(...exported)) expect(printed).not.toContain(secret);
  expect(printed).not.toMatch(/"(d|p|q|dp|dq|qi)":|PRIVATE KEY-----/);
});
