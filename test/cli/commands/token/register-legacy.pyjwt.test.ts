import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshPair, pkcs8Of, writeKeyFile } from '../../../support/private-keys.js';
import { openServing, type Serving } from '../../../support/serving.js';
import { spawnProgram } from '../../../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

// Debian's python3-jwt is for the system's Python. `npm test` sets another one if that is missing.
const PYTHON = process.env.JWTCTL_TEST_PYTHON ?? '/usr/bin/python3';

/** What a Flask application does at login, for 30 users with two sessions each. */
const FLASK_LOGINS = `
import datetime, sys, jwt
key = open(sys.argv[1]).read()
now = datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.timezone.utc)
for user_id in range(1, 31):
    for session in range(2):
        claims = {"sub": user_id, "exp": now + datetime.timedelta(hours=8), "session": session}
        print(jwt.encode(claims, key, algorithm="RS256"))
`;

describe.each(BACKENDS)('60 live tokens of a Flask application with PyJWT, on %s', (backend) => {
  let stores: Stores;
  let serving: Serving;
  let tokens: string[];
  let file: string;

  beforeAll(async () => {
    stores = await openStores(backend, { JWTCTL_TOKEN_ACCEPT_LEGACY: '2999-12-31' });
    const pem = writeKeyFile(stores.home, 'flask.pem', pkcs8Of(freshPair()));
    const words = ['-c', FLASK_LOGINS, pem, String(stores.clock.now())];
    const { exitCode, stdout, stderr } = await spawnProgram(PYTHON, words);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    tokens = stdout.trim().split('\n');
    file = join(stores.home, 'sessions.txt');
    writeFileSync(file, stdout);

    await stores.json('keys', 'generate');
    await stores.json('keys', 'import', '--pem', pem, '--kid', 'flask', '--verify-only');
    const users = Array.from({ length: 30 }, (_, index) => JSON.stringify({ sub: String(index + 1) }));
    await stores.json('users', 'import', '-', { stdin: users.join('\n') });
    serving = await openServing(stores);
  });
  afterAll(async () => {
    await serving?.close();
    await stores?.close();
  });

  async function accepted(): Promise<number> {
    const answers = await Promise.all(
      tokens.map((token) =>
        serving.app.inject({ url: '/verify', headers: { authorization: `Bearer ${token}` } }),
      ),
    );
    return answers.filter(({ statusCode }) => statusCode === 200).length;
  }

  /** Waits until the server has read the security log. */
  async function acceptedAfterChange(expected: number): Promise<void> {
    await expect.poll(accepted, { timeout: 10_000 }).toBe(expected);
  }

  test('60 of 60 are registered, accepted, revoked one by one and by user, and end with their key', async () => {
    const first = JSON.parse(Buffer.from(tokens[0]?.split('.')[0] ?? '', 'base64url').toString());
    expect(first.kid).toBeUndefined();
    expect(tokens).toHaveLength(60);
    expect(await accepted()).toBe(0);

    const refused = await stores.run('token', 'register', '--token-file', file);
    expect(refused).toMatchObject({ exitCode: 5, stdout: '' });
    const registered = await stores.run('token', 'register', '--legacy', '--token-file', file);
    expect(registered.exitCode).toBe(0);
    expect(registered.lines()).toHaveLength(60);
    await acceptedAfterChange(60);

    for (const token of tokens.slice(0, 3)) {
      const { revoked } = await stores.json('token', 'revoke', '-', { stdin: token });
      expect(revoked).toBe(1);
    }
    await acceptedAfterChange(57);
    expect(await stores.json('token', 'revoke', '--sub', '30', '--all', '--yes')).toMatchObject({
      revoked: 2,
    });
    await acceptedAfterChange(55);

    const again = await stores.run('token', 'register', '--legacy', '--token-file', file, '-o', 'ndjson');
    expect(again.lines()).toHaveLength(55);
    await acceptedAfterChange(55);

    await stores.json('keys', 'rotate', '--now');
    await acceptedAfterChange(55);
    const { entries } = await stores.json('keys', 'compromise', 'flask', '--reason', 'plaintext', '--yes');
    expect(entries).toMatchObject({ removed: 55, after: 0 });
    await acceptedAfterChange(0);
  });
});
