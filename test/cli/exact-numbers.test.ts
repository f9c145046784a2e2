import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openIssuer } from '../../src/index.js';
import { freshPair, pkcs8Of, writeKeyFile } from '../support/private-keys.js';
import { encodePart, signJws } from '../support/signing.js';
import { openStores, type Stores } from '../support/stores.js';

const INEXACT = [
  ...['1147953659032899584', '100002348117421473', '281674916028284930', '738529527931269425'],
  ...['9007199254740993', '-9007199254740993', '1e400', '-1e400', '1e-400', '0.1234567890123456789'],
];

describe('numbers that JSON programs change', () => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  test.each(INEXACT)('%s is refused in --claim, with the right spelling', async (number) => {
    const issue = ['token', 'issue', '--sub', 'alice', '--json'];
    const refused = await stores.run(...issue, '--claim', `uid=${number}`);
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.error()).toMatchObject({ code: 'ERR_NUMBER_INEXACT' });
    const spelled = /--claim '(.*)'/.exec(refused.error().hint ?? '')?.[1] ?? '';
    const { token } = await stores.json(...issue, '--claim', spelled);
    expect((await stores.json('token', 'decode', token)).payload.uid).toBe(number);
  });

  test.each(INEXACT)('%s is refused in the depth of --claim and --claims', async (number) => {
    const json = `{"ids":[1,{"id":${number}}]}`;
    const file = join(stores.home, 'claims.json');
    writeFileSync(file, json);
    for (const flags of [
      ['--claim', `user=${json}`],
      ['--claims', file],
    ]) {
      const refused = await stores.run('token', 'issue', '--sub', 'alice', '--json', ...flags);
      expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
      expect(refused.error().code).toBe('ERR_NUMBER_INEXACT');
    }
    const refused = await stores.run('token', 'issue', '--sub', 'alice', '--json', '--claims', '-', {
      stdin: json,
    });
    expect(refused.error().code).toBe('ERR_NUMBER_INEXACT');
  });

  test('they fail only their lines of NDJSON', async () => {
    const lines = INEXACT.map((number) => `{"sub":"alice","claims":{"id":${number}}}`);
    const file = join(stores.home, 'lines.ndjson');
    writeFileSync(file, `{"sub":"alice","claims":{"id":"1147953659032899584"}}\n${lines.join('\n')}\n`);
    const issued = await stores.run(
      'token',
      'issue',
      '--sub-file',
      file,
      '--format',
      'ndjson',
      '-o',
      'ndjson',
    );
    expect(issued.exitCode).toBe(5);
    expect(issued.lines()).toHaveLength(1);
    expect(issued.stderr.match(/ERR_NUMBER_INEXACT/g)).toHaveLength(INEXACT.length);
    const users = INEXACT.map((number) => `{"sub":${number}}`).join('\n');
    const imported = await stores.run('users', 'import', '-', '-o', 'ndjson', { stdin: users });
    expect(imported.stderr.match(/ERR_NUMBER_INEXACT/g)).toHaveLength(INEXACT.length);
  });

  test.each([
    1n,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    -(2 ** 53),
    2 ** 60,
  ])('the library refuses %s in claims', async (value) => {
    const issuer = await openIssuer({ data: join(stores.home, 'data', 'jwtctl', 'jwtctl.db') });
    try {
      for (const claims of [{ id: value }, { user: { ids: [1, value] } }]) {
        await expect(issuer.issue({ sub: 'alice', claims })).rejects.toMatchObject({
          code: 'ERR_NUMBER_INEXACT',
        });
      }
    } finally {
      await issuer.close();
    }
  });

  test.each([...INEXACT, '1.0', '1E3', '0.10'])('decode prints the digits of %s', async (number) => {
    const payload = `{"sub":"${number}","uid":${number},"deep":[{"id":${number}}]}`;
    const token = `${encodePart({ alg: 'RS256', kid: 'k' })}.${encodePart(payload)}.AAAA`;
    expect((await stores.run('token', 'decode', token, '--json')).stdout).toContain(payload);
    const table = (await stores.run('token', 'decode', token)).stdout;
    expect(table).toMatch(new RegExp(`uid +${number.replace('.', '\\.')}\\n`));
    expect(table).toContain(`[{"id":${number}}]`);
  });

  test('verify prints the digits of a token that was signed elsewhere', async () => {
    const key = freshPair();
    const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(key));
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
    const iat = stores.clock.now();
    const times = `"iat":${iat},"exp":${iat + 600}`;
    const payload = `{"iss":"jwtctl","aud":"user","sub":"alice",${times},"jti":"j","uid":1147953659032899584,"n":1e400}`;
    const token = await signJws({ privateKey: key }, { alg: 'RS256', kid: 'theirs' }, payload);
    await stores.json('token', 'register', '-', { stdin: token });
    expect((await stores.run('token', 'verify', '-', '--json', { stdin: token })).stdout).toContain(payload);
    expect((await stores.run('token', 'verify', '-', { stdin: token })).stdout).toMatch(
      /uid +1147953659032899584\n/,
    );
  });
});
