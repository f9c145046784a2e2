import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Cli, cli, everythingPrinted } from '../../../support/cli.js';
import {
  encryptedOf,
  freshJwk,
  freshPair,
  jwkOf,
  keyOf,
  openssl,
  type PrivateJwk,
  pkcs1Of,
  pkcs8Of,
  secretsOf,
  thumbprintOf,
  writeKeyFile,
} from '../../../support/private-keys.js';
import { BIN, spawnProgram } from '../../../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';
import { runAtTerminal } from '../../../support/terminal.js';
import { RFC7517_A2, RFC7520 } from '../../../vectors/rfc-vectors.js';

const PASSPHRASE = 'correct horse battery';

/** Stands in for the prompts: the answers, and the questions that were asked. */
const person = vi.hoisted(() => ({ types: '', wasAsked: [] as string[] }));
vi.mock('../../../../src/adapters/prompt/inquirer-prompt.js', () => ({
  inquirerPrompt: {
    password: async (question: string) => {
      person.wasAsked.push(question);
      return person.types;
    },
  },
}));

let jwks: PrivateJwk[] = [];

beforeAll(() => {
  jwks = Array.from({ length: 6 }, () => freshJwk());
});
const jwk = (index: number, members: object = {}) => ({ ...jwks[index], ...members }) as PrivateJwk;
const pem = (index: number) => pkcs8Of(keyOf(jwk(index)));
const set = (...keys: object[]) => JSON.stringify({ keys });

async function refusal(shell: Cli, ...words: Array<string | { stdin: string }>) {
  const { exitCode, stdout, error } = await shell.run(...words, '--json');
  expect({ words, stdout }).toEqual({ words, stdout: '' });
  return { exitCode, code: error().code, text: `${error().message} ${error().hint}` };
}

describe.each(BACKENDS)('an imported key, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
  });
  afterAll(() => stores?.close());

  test('becomes active if no key is, and pending with --sign', async () => {
    const file = writeKeyFile(stores.home, 'one.pem', pem(0));
    const one = await stores.json('keys', 'import', '--pem', file, '--kid', 'one');
    expect(one).toMatchObject({ kid: 'one', alg: 'RS256', bits: 2048, state: 'active' });
    expect(one.masterKeyId).toEqual(expect.any(String));
    const old = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
    expect(old.kid).toBe('one');

    writeKeyFile(stores.home, 'two.json', JSON.stringify(jwk(1, { kid: 'two', alg: 'PS256', use: 'sig' })));
    const two = await stores.json('key', 'import', '--jwk', '@two.json', '--sign');
    expect(two).toMatchObject({ kid: 'two', alg: 'PS256', state: 'pending', activatedAt: null });
    await stores.json('keys', 'activate', 'two', '--now');
    const { token, kid } = await stores.json('token', 'issue', '--sub', 'alice');
    expect(kid).toBe('two');
    for (const each of [token, old.token])
      expect(await stores.json('token', 'verify', each)).toMatchObject({ active: true });

    const published = (await stores.json('keys', 'show', 'two')).jwk;
    const { n, e } = createPublicKey(keyOf(jwk(1))).export({ format: 'jwk' });
    expect(published).toEqual({ kty: 'RSA', use: 'sig', kid: 'two', alg: 'PS256', n, e });
  });

  test('is stored sealed and recorded in the audit log', async () => {
    const rows = await stores.query('SELECT private_key FROM keystore');
    for (const row of rows) expect(String(row.private_key).split('.')).toHaveLength(5);
    const everything = await stores.content();
    for (const secret of secretsOf(jwk(0), jwk(1))) expect(everything).not.toContain(secret);
    const audit = await stores.query(
      "SELECT target, outcome, reason FROM audit_log WHERE action = 'keys.import' ORDER BY seq",
    );
    expect(audit.map(({ target, outcome, reason }) => [target, outcome, reason])).toEqual([
      ['one', 'active', null],
      ['two', 'pending', null],
    ]);
  });

  test('is reported as existing the second time, and not changed', async () => {
    const before = await stores.content();
    const { exitCode, stdout, stderr } = await stores.run('keys', 'import', '--jwk', 'two.json');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/two/);
    expect(stderr).toContain('Key two already exists');
    expect(await stores.content()).toBe(before);
  });

  test('is refused if its kid or its material is in use', async () => {
    const before = await stores.content();
    const fromStdin = { stdin: pem(2) };
    expect(await refusal(stores, 'keys', 'import', '--pem', '-', '--kid', 'one', fromStdin)).toMatchObject({
      exitCode: 3,
      code: 'ERR_KID_EXISTS',
    });
    const renamed = await refusal(stores, 'keys', 'import', '--pem', 'one.pem', '--kid', 'other');
    expect(renamed).toMatchObject({ exitCode: 3, code: 'ERR_KEY_MATERIAL_EXISTS' });
    expect(renamed.text).toContain('key one');
    expect(await stores.content()).toBe(before);
  });

  test('cannot be imported again after it is retired', async () => {
    writeKeyFile(stores.home, 'gone.pem', pem(2));
    await stores.json('keys', 'import', '--pem', 'gone.pem', '--kid', 'gone');
    await stores.json('keys', 'retire', 'gone');
    for (const [words, code] of [
      [['--kid', 'gone'], 'ERR_KEY_RETIRED'],
      [['--kid', 'back'], 'ERR_KEY_MATERIAL_EXISTS'],
    ] as const) {
      expect(await refusal(stores, 'keys', 'import', '--pem', 'gone.pem', ...words)).toMatchObject({
        exitCode: 3,
        code,
      });
    }
  });

  test('is added with all keys of its JWK Set with --strict, or none is', async () => {
    const before = await stores.content();
    const spoiled = set(jwk(3, { kid: 'three' }), jwk(4, { kid: 'four', n: jwk(5).n }));
    const strict = ['keys', 'import', '--jwk', '-', '--strict'];
    const refused = await refusal(stores, ...strict, { stdin: spoiled });
    expect(refused).toMatchObject({ exitCode: 2, code: 'ERR_KEY_INCONSISTENT' });
    expect(refused.text).toContain('Key 2 of the set (kid four) in standard input');
    const taken = set(jwk(3, { kid: 'three' }), jwk(4, { kid: 'one' }));
    expect(await refusal(stores, ...strict, { stdin: taken })).toMatchObject({
      exitCode: 3,
      code: 'ERR_KID_EXISTS',
    });
    expect(await stores.content()).toBe(before);

    const words = ['keys', 'import', '--jwk', '-'];
    const stdin = set(jwk(3, { kid: 'three' }), jwk(4));
    expect(await stores.json(...words, '--dry-run', { stdin })).toMatchObject([
      { kid: 'three', verifyOnly: true, dryRun: true },
      { kid: thumbprintOf(jwk(4)), verifyOnly: true, dryRun: true },
    ]);
    expect(await stores.content()).toBe(before);
    const keys = await stores.json(...words, { stdin });
    expect(keys).toMatchObject([{ kid: 'three' }, { kid: thumbprintOf(jwk(4)) }]);
    expect(keys[0]).not.toHaveProperty('dryRun');
  });

  test('is added once by concurrent imports', async () => {
    writeKeyFile(stores.home, 'race.pem', pem(5));
    const ended = await Promise.all(
      ['race', 'race', 'race', 'rival'].map((kid) =>
        stores.run('keys', 'import', '--pem', 'race.pem', '--kid', kid),
      ),
    );
    const { n } = jwk(5);
    const rows = (await stores.json('keys', 'export')).keys.filter((key: { n: string }) => key.n === n);
    expect(rows).toHaveLength(1);
    const isRace = rows[0].kid === 'race';
    expect(ended.map(({ exitCode }) => exitCode)).toEqual(isRace ? [0, 0, 0, 3] : [3, 3, 3, 0]);
  });
});

describe('keys import', () => {
  let shell: Cli;

  beforeEach(() => {
    shell = cli();
  });

  test('creates the embedded store, but not in a dry run or for a refused file', async () => {
    const data = join(shell.home, 'data');
    writeKeyFile(shell.home, 'key.pem', pem(0));
    expect(await shell.json('keys', 'import', '--pem', 'key.pem', '--kid', 'k1', '-n')).toMatchObject({
      kid: 'k1',
      state: 'active',
      masterKeyId: null,
      dryRun: true,
    });
    expect((await shell.run('keys', 'import', '--pem', '-', { stdin: 'x' })).exitCode).toBe(2);
    expect(existsSync(data)).toBe(false);
    expect(await shell.json('keys', 'import', '--pem', 'key.pem', '--kid', 'k1')).toMatchObject({
      state: 'active',
    });
    expect(existsSync(data)).toBe(true);
  });

  test('activates only the key of a set that --sign names', async () => {
    const stdin = set(jwk(0, { kid: 'a' }), jwk(1, { kid: 'b' }));
    expect(await shell.json('keys', 'import', '--jwk', '-', { stdin })).toMatchObject([
      { kid: 'a', verifyOnly: true },
      { kid: 'b', verifyOnly: true },
    ]);
    expect(await shell.json('keys', 'import', '--jwk', '-', '--sign', 'b', { stdin })).toMatchObject([
      { kid: 'a', verifyOnly: true },
      { kid: 'b', state: 'active', masterKeyId: expect.any(String) },
    ]);
    expect((await shell.run('keys', 'import', '--jwk', '-', '-q', { stdin })).lines()).toEqual(['a', 'b']);
    expect(await shell.json('token', 'issue', '--sub', 'alice', '--create-user')).toMatchObject({ kid: 'b' });
  });

  test('says which key signs now and which signs next, also in a dry run', async () => {
    const importing = async (index: number, kid: string, ...words: string[]) => {
      const stdin = JSON.stringify(jwk(index, { kid }));
      return (await shell.run('keys', 'import', '--jwk', '-', ...words, { stdin })).stderr;
    };
    expect(await importing(0, 'new', '-n')).toContain('Key new would sign.\n');
    const first = await importing(0, 'new');
    expect(first).toContain('Key new signs now.\n');
    expect(first).toContain('`jwtctl keys rotate` generates the key that signs next.\n');

    const second = await importing(1, 'old');
    expect(second).toContain('Key new signs now.\n');
    expect(second).toContain('1 imported key verifies and does not sign.');
    expect(second).not.toContain('Key old signs');

    const planned = await importing(2, 'next', '--sign', '-n');
    expect(planned).toContain('Key next would sign next: `jwtctl keys rotate` makes it active in 30d.\n');
    expect(await importing(2, 'next', '--sign')).toContain(
      'Key next signs next: `jwtctl keys rotate` makes it active in 30d.\n',
    );
  });

  test('an older key does not become the next signer by accident', async () => {
    const words = ['keys', 'import', '--pem', '-', '--kid'];
    await shell.json(...words, 'newest', { stdin: pem(0) });
    await shell.json(...words, 'older', { stdin: pem(1) });
    await shell.json(...words, 'oldest', { stdin: pem(2) });
    for (let count = 0; count < 3; count++) {
      shell.clock.advance(40 * 86_400);
      await shell.json('keys', 'rotate');
      shell.clock.advance(40 * 86_400);
      expect((await shell.json('keys', 'rotate')).active).not.toMatch(/^old/);
    }
    const states = (await shell.json('keys', 'list')).map(
      ({ kid, verifyOnly }: { kid: string; verifyOnly: boolean }) => [kid, verifyOnly],
    );
    expect(states).toEqual(
      expect.arrayContaining([
        ['older', true],
        ['oldest', true],
      ]),
    );
  });

  test('imports the keys of RFC 7517 A.2 and RFC 7520', async () => {
    const imported = await shell.run('keys', 'import', '--jwk', '-', '--json', {
      stdin: JSON.stringify(RFC7517_A2),
    });
    expect(imported.exitCode).toBe(5);
    expect(imported.json()).toMatchObject([
      { kid: '2011-04-29', alg: 'RS256', verifyOnly: true },
      { kid: '1', error: { code: 'ERR_KEY_NOT_RSA' } },
    ]);
    const stdin = JSON.stringify({ ...RFC7520.privateJwk, kid: RFC7520.kid, use: 'sig' });
    expect(await shell.json('keys', 'import', '--jwk', '-', '--sign', { stdin })).toMatchObject({
      ...{ kid: 'bilbo.baggins@hobbiton.example', state: 'active' },
    });
  });

  test('skips the members of a set that are not RSA signing keys, and lists them', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { n, e } = jwk(1);
    const stdin = JSON.stringify([
      jwk(0, { kid: 'good' }),
      { ...privateKey.export({ format: 'jwk' }), kid: 'ec' },
      publicKey.export({ format: 'jwk' }),
      { kty: 'oct', k: 'c2VjcmV0', kid: 'hmac' },
      jwk(1, { kid: 'enc', use: 'enc' }),
      jwk(2, { kid: 'oaep', alg: 'RSA-OAEP' }),
      { kty: 'RSA', n, e, kid: 'public' },
      jwk(3, { kid: 'mixed', n: jwk(4).n }),
      { kty: 'OKP', crv: 'Ed25519', kid: 'ed' },
      { kty: 'AKP', kid: 'post-quantum' },
      'text',
      null,
    ]);
    const strict = await refusal(shell, 'keys', 'import', '--jwk', '-', '--strict', { stdin });
    expect(strict).toMatchObject({ exitCode: 2, code: 'ERR_KEY_NOT_RSA' });
    expect(existsSync(join(shell.home, 'data'))).toBe(false);
    const { exitCode, stderr } = await shell.run('keys', 'import', '--jwk', '-', { stdin });
    expect(exitCode).toBe(5);
    expect(stderr.match(/^.*Skipped: Key \d+ of the set.*$/gm)).toHaveLength(11);
    expect(stderr).toContain('1 imported key verifies and does not sign.');
    expect(stderr).toContain('with --sign KID.');
    const again = await shell.run('keys', 'import', '--jwk', '-', '--json', { stdin });
    expect([again.exitCode, again.json().length]).toEqual([5, 12]);
    expect(again.json()[1]).toEqual({
      kid: 'ec',
      error: { code: 'ERR_KEY_NOT_RSA', message: expect.stringContaining('EC') },
    });
    expect((await shell.run('keys', 'import', '--jwk', '-', '-q', { stdin })).lines()).toEqual(['good']);
  });

  test('an older key does not sign because a newer one of its file was skipped', async () => {
    const { n, e } = jwk(1);
    const stdin = set(jwk(0, { kid: 'a-2019' }), { kty: 'RSA', n, e, kid: 'b-2026' });
    const importing = (...words: string[]) => shell.run('keys', 'import', '--jwk', '-', ...words, { stdin });
    const { exitCode, json } = await importing('--json');
    expect([exitCode, json()[0]]).toMatchObject([5, { kid: 'a-2019', verifyOnly: true }]);
    const unnamed = await importing('--sign', '--json');
    expect([unnamed.exitCode, unnamed.error().code]).toEqual([2, 'ERR_FLAG_COMBINATION']);
    expect((await importing('--sign', 'a-2019', '--json')).json()[0]).toMatchObject({ state: 'active' });
  });

  test('skips keys with a kid that is invalid or taken, and imports the others', async () => {
    await shell.json('keys', 'import', '--pem', '-', '--kid', 'taken', { stdin: pem(4) });
    const stdin = set(
      jwk(0, { kid: 'good' }),
      jwk(1, { kid: '' }),
      jwk(2, { kid: 'good' }),
      jwk(3, { kid: 'taken' }),
      jwk(0, { kid: 'twin' }),
    );
    const words = ['keys', 'import', '--jwk', '-'];
    expect(await refusal(shell, ...words, '--strict', { stdin })).toMatchObject({ code: 'ERR_KID_INVALID' });
    expect(await shell.json('keys', 'list')).toHaveLength(1);
    expect(await refusal(shell, ...words, '--sign', 'taken', { stdin })).toMatchObject({
      ...{ exitCode: 3, code: 'ERR_KID_EXISTS' },
    });

    const { exitCode, json } = await shell.run(...words, '--json', { stdin });
    expect([exitCode, json()]).toMatchObject([
      5,
      [
        { kid: 'good', verifyOnly: true },
        { kid: '', error: { code: 'ERR_KID_INVALID' } },
        { kid: 'good', error: { code: 'ERR_JWK_SET_DUPLICATE' } },
        { kid: 'twin', error: { code: 'ERR_JWK_SET_DUPLICATE' } },
        { kid: 'taken', error: { code: 'ERR_KID_EXISTS' } },
      ],
    ]);
  });

  test('--sign is refused for a key that signed before', async () => {
    await shell.json('keys', 'import', '--pem', '-', '--kid', 'a', { stdin: pem(0) });
    await shell.json('keys', 'rotate', '--now');
    const words = ['keys', 'import', '--pem', '-', '--kid', 'a', '--sign'];
    expect(await refusal(shell, ...words, { stdin: pem(0) })).toMatchObject({
      exitCode: 3,
      code: 'ERR_KEY_NOT_PENDING',
      text: expect.stringContaining('Key a is retiring and cannot sign again.'),
    });
  });

  test('accepts --kid for the only key of a set, and prints an array', async () => {
    const stdin = set(jwk(0, { kid: 'not\na kid' }));
    expect(await refusal(shell, 'keys', 'import', '--jwk', '-', { stdin })).toMatchObject({
      exitCode: 2,
      code: 'ERR_KID_INVALID',
      text: expect.stringContaining('--kid'),
    });
    expect(await shell.json('keys', 'import', '--jwk', '-', '--kid', 'k1', { stdin })).toMatchObject([
      { kid: 'k1' },
    ]);
  });

  test('prefers --alg to the alg of the file, and that to the settings', async () => {
    const importing = (index: number, members: object, ...words: string[]) =>
      shell.json('keys', 'import', '--jwk', '-', ...words, { stdin: JSON.stringify(jwk(index, members)) });
    expect(await importing(0, { kid: 'a' }, '--alg', 'PS512')).toMatchObject({ alg: 'PS512' });
    expect(await importing(1, { kid: 'b', alg: 'RS384' })).toMatchObject({ alg: 'RS384' });
    expect(await importing(2, { kid: 'c' }, '--keys-algorithm', 'PS256')).toMatchObject({ alg: 'PS256' });
  });

  test.each(['pkcs8', 'pkcs1'] as const)('opens an encrypted %s with a passphrase file', async (type) => {
    const files = {
      key: writeKeyFile(shell.home, 'key.pem', encryptedOf(keyOf(jwk(0)), type, PASSPHRASE)),
      right: writeKeyFile(shell.home, 'right', `${PASSPHRASE}\n`),
      wrong: writeKeyFile(shell.home, 'wrong', `${PASSPHRASE} \n`),
      twoLines: writeKeyFile(shell.home, 'two-lines', `${PASSPHRASE}\n\n`),
      open: writeKeyFile(shell.home, 'open', `${PASSPHRASE}\n`),
    };
    const words = ['keys', 'import', '--pem', files.key, '--kid', 'k1'];
    expect(await refusal(shell, ...words)).toMatchObject({
      exitCode: 2,
      code: 'ERR_PASSPHRASE_NEEDED',
      text: expect.stringContaining('--passphrase-file'),
    });
    expect(await refusal(shell, ...words, '--passphrase-file', files.wrong)).toMatchObject({
      exitCode: 2,
      code: 'ERR_PASSPHRASE_WRONG',
    });
    chmodSync(files.open, 0o622);
    for (const [file, code] of [
      ['absent', 'ERR_CONFIG_FILE_MISSING'],
      [files.twoLines, 'ERR_CONFIG_FILE_INVALID'],
      [files.open, 'ERR_CONFIG_FILE_UNSAFE'],
    ] as const) {
      const refused = await refusal(shell, ...words, '--passphrase-file', file);
      expect(refused).toMatchObject({
        exitCode: 2,
        code,
        text: expect.stringContaining('--passphrase-file'),
      });
    }
    expect(
      await shell.json(...words, '--passphrase-file', '-', { stdin: `${PASSPHRASE}\r\n` }),
    ).toMatchObject({ kid: 'k1', state: 'active' });
    expect((await shell.run(...words, '--passphrase-file', files.right)).exitCode).toBe(0);
  });

  test('reads the passphrase from a pipe of the shell', async () => {
    const key = writeKeyFile(shell.home, 'key.pem', encryptedOf(keyOf(jwk(0)), 'pkcs8', PASSPHRASE));
    const command = `echo '${PASSPHRASE}' | "$@" --passphrase-file /dev/stdin`;
    const words = [process.execPath, BIN, 'keys', 'import', '--pem', key, '--kid', 'k1', '--json'];
    const ended = await spawnProgram('/bin/sh', ['-c', command, 'sh', ...words], { env: shell.env });
    expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toMatchObject({ exitCode: 0 });
    expect(ended.json()).toMatchObject({ kid: 'k1' });
  });

  test('asks for the passphrase only if the file is encrypted', async () => {
    writeKeyFile(shell.home, 'key.pem', encryptedOf(keyOf(jwk(0)), 'pkcs8', PASSPHRASE));
    writeKeyFile(shell.home, 'plain.pem', pem(1));
    const words = ['keys', 'import', '--kid', 'k1', '--pem'];
    person.types = 'something else';
    const wrong = await runAtTerminal(shell, ...words, 'key.pem', '--json');
    expect([wrong.exitCode, wrong.error().code]).toEqual([2, 'ERR_PASSPHRASE_WRONG']);
    person.types = PASSPHRASE;
    expect((await runAtTerminal(shell, ...words, 'key.pem', '--json')).json()).toMatchObject({ kid: 'k1' });
    expect(person.wasAsked).toEqual([
      'The passphrase of the key in key.pem:',
      'The passphrase of the key in key.pem:',
    ]);
    const mute = await runAtTerminal(shell, ...words, 'key.pem', '--json', '--no-input');
    expect([mute.exitCode, mute.error().code]).toEqual([2, 'ERR_PASSPHRASE_NEEDED']);
    const plain = await runAtTerminal(shell, 'keys', 'import', '--kid', 'k2', '--pem', 'plain.pem');
    expect([plain.exitCode, person.wasAsked.length]).toEqual([0, 2]);
  });

  test('accepts files written by the openssl program', async () => {
    await openssl(shell.home, 'genrsa', '-traditional', '-out', 'one.pem', '2048');
    const pass = ['-passout', `pass:${PASSPHRASE}`];
    const encrypting = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', 'one.pem', '-out', 'two.pem'];
    await openssl(shell.home, ...encrypting, ...pass);
    await openssl(
      shell.home,
      'rsa',
      '-aes256',
      '-traditional',
      '-in',
      'one.pem',
      '-out',
      'three.pem',
      ...pass,
    );
    writeKeyFile(shell.home, 'pass', PASSPHRASE);
    const words = ['keys', 'import', '--kid', 'k1', '--passphrase-file', 'pass', '--pem'];
    await shell.json(...words, 'one.pem');
    for (const file of ['two.pem', 'three.pem']) {
      const { exitCode, stderr } = await shell.run(...words, file);
      expect({ file, exitCode, stderr }).toMatchObject({
        exitCode: 0,
        stderr: expect.stringContaining('k1'),
      });
    }
    expect(await shell.json('keys', 'list')).toHaveLength(1);
  });

  test.each([
    [[]],
    [['--pem', 'a', '--jwk', 'b']],
    [['--jwk', 'a', '--passphrase-file', 'b']],
    [['--pem', '-', '--passphrase-file', '-']],
  ])('refuses the contradictory flags %j', async (words) => {
    expect(await refusal(shell, 'keys', 'import', ...words)).toMatchObject({
      exitCode: 2,
      code: 'ERR_FLAG_COMBINATION',
    });
  });

  test('names the flag for the name of a key file, and refuses the text of a key', async () => {
    for (const [name, flag] of [
      ['key.pem', '--pem'],
      ['keys/private.key', '--pem'],
      ['jwks.json', '--jwk'],
    ]) {
      const { text } = await refusal(shell, 'keys', 'import', String(name));
      expect(text).toContain(`Did you mean \`${flag} ${name}\`?`);
    }
    for (const [flag, text] of [
      ['--pem', pem(0)],
      ['--jwk', JSON.stringify(jwk(0))],
    ] as const) {
      expect(await refusal(shell, 'keys', 'import', flag, text)).toMatchObject({
        ...{ exitCode: 2, code: 'ERR_FLAG_INVALID' },
        text: expect.stringContaining(`| jwtctl keys import ${flag} -`),
      });
    }
    const { text } = await refusal(shell, 'keys', 'import', '--alg', 'HS256', '--pem', 'key.pem');
    expect(text).toContain("'HS256'");
  });

  test('a dry run checks the keyring', async () => {
    const env = { JWTCTL_MASTER_KEY_FILE: writeKeyFile(shell.home, 'master', 'too short') };
    const damaged = cli({ env: { ...shell.env, ...env } });
    for (const words of [
      ['keys', 'generate', '-n'],
      ['keys', 'import', '--pem', '-', '-n', { stdin: pem(0) }],
    ]) {
      expect(await refusal(damaged, ...words)).toMatchObject({ exitCode: 2, code: 'ERR_MASTER_KEY_INVALID' });
    }
  });

  test('refuses --kid for several keys', async () => {
    const stdin = set(jwk(0), jwk(1));
    expect(await refusal(shell, 'keys', 'import', '--jwk', '-', '--kid', 'k1', { stdin })).toMatchObject({
      exitCode: 2,
      code: 'ERR_FLAG_COMBINATION',
    });
    for (const words of [
      ['--kid', '-x'],
      ['--alg', 'HS256'],
      ['--alg', 'none'],
    ]) {
      const { exitCode } = await shell.run('keys', 'import', '--jwk', '-', ...words, { stdin });
      expect({ words, exitCode }).toEqual({ words, exitCode: 2 });
    }
  });

  test('refuses an invalid file with exit code 2 and the reason', async () => {
    const { n, e } = jwk(0);
    const publicPem = createPublicKey(keyOf(jwk(0)))
      .export({ type: 'spki', format: 'pem' })
      .toString();
    for (const [flag, stdin, code] of [
      ['--pem', '', 'ERR_PEM_INVALID'],
      ['--pem', pem(0).slice(0, 900), 'ERR_PEM_INVALID'],
      ['--pem', pem(0) + pem(1), 'ERR_PEM_MANY_KEYS'],
      ['--pem', publicPem, 'ERR_KEY_NOT_PRIVATE'],
      ['--pem', pkcs1Of(freshPair({ bits: 1024 })), 'ERR_KEY_SIZE'],
      ['--pem', pkcs8Of(freshPair({ exponent: 3 })), 'ERR_KEY_EXPONENT'],
      ['--pem', pkcs8Of(keyOf(jwk(0, { n: jwk(1).n }))), 'ERR_KEY_INCONSISTENT'],
      ['--jwk', pem(0), 'ERR_JWK_INVALID'],
      ['--jwk', '{', 'ERR_JWK_INVALID'],
      ['--jwk', '{"keys":[]}', 'ERR_JWK_INVALID'],
      ['--jwk', JSON.stringify({ kty: 'RSA', n, e }), 'ERR_KEY_NOT_PRIVATE'],
      ['--jwk', JSON.stringify({ kty: 'RSA', n, e, d: jwk(0).d, p: jwk(0).p }), 'ERR_JWK_INCOMPLETE'],
      ['--jwk', JSON.stringify({ kty: 'EC', crv: 'P-256' }), 'ERR_KEY_NOT_RSA'],
      ['--jwk', JSON.stringify(jwkOf(freshPair({ exponent: 3 }))), 'ERR_KEY_EXPONENT'],
      ['--jwk', JSON.stringify(jwk(0, { dp: jwk(1).dp })), 'ERR_KEY_INCONSISTENT'],
      ['--jwk', JSON.stringify(jwk(0, { use: 'enc' })), 'ERR_KEY_NOT_FOR_SIGNING'],
      ['--jwk', JSON.stringify(jwk(0, { alg: 'RSA-OAEP' })), 'ERR_KEY_NOT_FOR_SIGNING'],
      ['--jwk', JSON.stringify(jwk(0, { kid: '' })), 'ERR_KID_INVALID'],
    ] as const) {
      const refused = await refusal(shell, 'keys', 'import', flag, '-', { stdin });
      expect({ ...refused, flag }).toMatchObject({ flag, code, exitCode: 2 });
    }
    const words = ['keys', 'import', '--jwk', '-', '--alg', 'RS256'];
    const stdin = JSON.stringify(jwk(0, { alg: 'PS256' }));
    expect(await refusal(shell, ...words, { stdin })).toMatchObject({
      exitCode: 2,
      code: 'ERR_KEY_ALG_MISMATCH',
    });
    expect(existsSync(join(shell.home, 'data'))).toBe(false);
  });

  test('refuses a file that is too large or missing', async () => {
    const large = writeKeyFile(shell.home, 'large', Buffer.alloc(10_000_000, 0x41));
    for (const flag of ['--pem', '--jwk']) {
      expect(await refusal(shell, 'keys', 'import', flag, large)).toMatchObject({
        exitCode: 2,
        code: 'ERR_CONFIG_FILE_INVALID',
        text: expect.stringContaining(large),
      });
      expect(await refusal(shell, 'keys', 'import', flag, '/dev/zero')).toMatchObject({
        exitCode: 2,
        code: 'ERR_CONFIG_FILE_UNSAFE',
      });
      const stdin = '{'.repeat(1_000_001);
      expect(await refusal(shell, 'keys', 'import', flag, '-', { stdin })).toMatchObject({
        exitCode: 2,
        code: 'ERR_FILE_TOO_LARGE',
      });
      for (const [file, code] of [
        ['absent', 'ERR_CONFIG_FILE_MISSING'],
        [shell.home, 'ERR_CONFIG_FILE_UNREADABLE'],
        ['', 'ERR_CONFIG_FILE_UNREADABLE'],
      ] as const) {
        expect(await refusal(shell, 'keys', 'import', flag, file)).toMatchObject({ exitCode: 2, code });
      }
    }
  });

  test('refuses a key file that others can write to, and warns about one that they can read', async () => {
    const files = [
      ['--pem', writeKeyFile(shell.home, 'key.pem', pem(0))],
      ['--jwk', writeKeyFile(shell.home, 'key.jwk', JSON.stringify(jwk(1)))],
    ] as const;
    for (const [flag, file] of files) {
      chmodSync(file, 0o622);
      expect(await refusal(shell, 'keys', 'import', flag, file)).toMatchObject({
        exitCode: 2,
        code: 'ERR_CONFIG_FILE_UNSAFE',
        text: expect.stringContaining(flag),
      });
      chmodSync(file, 0o644);
      expect(await shell.run('keys', 'import', flag, file)).toMatchObject({
        exitCode: 0,
        stderr: expect.stringContaining(`chmod 600 ${file}`),
      });
    }
    expect(await shell.json('keys', 'list')).toHaveLength(2);
  });

  test('reads a key from a pipe of the shell', async () => {
    const command = `printf %s "$KEY" | "$@" --pem /dev/stdin`;
    const words = [process.execPath, BIN, 'keys', 'import', '--kid', 'k1', '--json'];
    const ended = await spawnProgram('/bin/sh', ['-c', command, 'sh', ...words], {
      env: { ...shell.env, KEY: pem(0) },
    });
    expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toMatchObject({ exitCode: 0 });
    expect(ended.json()).toMatchObject({ kid: 'k1' });
  });
});

test('never prints a private key, a passphrase, or an OpenSSL error', () => {
  const printed = everythingPrinted.join('\n');
  expect(printed.length).toBeGreaterThan(1_000);
  for (const secret of [PASSPHRASE, ...secretsOf(...jwks)]) expect(printed).not.toContain(secret);
  expect(printed).not.toMatch(/"(d|p|q|dp|dq|qi)":|^\s+at |ERR_BUG|ERR_OSSL|routines::/m);
});
