import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { everythingPrinted } from '../../../support/cli.js';
import { rsaPair, signJws } from '../../../support/signing.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../../../support/stores.js';

function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}

describe.each(BACKENDS)('token explain, on %s', (backend) => {
  let stores: Stores;
  let kid = '';
  let token = '';
  let jti = '';

  beforeAll(async () => {
    stores = await openStores(backend);
    stores.env.JWTCTL_MASTER_KEY_FILE ??= writeMasterKey(stores.home);
    kid = (await stores.json('keys', 'generate', '--actor', 'carol')).kid;
    await stores.json('users', 'add', 'alice');
  });
  beforeEach(async () => {
    ({ token, jti } = await stores.json('token', 'issue', '--sub', 'alice', '--meta', 'device=phone'));
  });
  afterEach(() => stores.run('users', 'enable', 'alice'));
  afterAll(() => stores?.close());

  /** Explains the token, and checks that the answer is that of `token verify`. */
  async function explain(candidate: string, ...flags: string[]) {
    const result = await stores.run('token', 'explain', '--json', ...flags, '--', candidate);
    const verified = await stores.run('token', 'verify', '--json', ...flags, '--', candidate);
    const [explained, { active, error, reason }] = [result.json(), verified.json()];
    expect(result.exitCode).toBe(verified.exitCode);
    expect(explained).toMatchObject({ active, ...(active ? {} : { error, reason }) });
    const words = Object.values<{ verdict: string }>(explained.checks).map(({ verdict }) => verdict);
    expect(words.every((word) => word === 'passed')).toBe(active);
    const table = await stores.run('token', 'explain', ...flags, '--', candidate);
    expect(table.exitCode).toBe(verified.exitCode);
    expect(table.stdout).toMatch(active ? /^✓ accepted/ : new RegExp(`^✗ refused: ${error.code} `));
    return { ...explained, verdicts: words.join(' '), text: table.stdout };
  }

  const codesOf = (check: { errors: Array<{ code: string }> }) => check.errors.map(({ code }) => code);

  test('shows the facts behind an accepted token', async () => {
    const explained = await explain(token);
    expect(explained).toMatchObject({
      ...{ active: true, kid, ttlSeconds: 3_600 },
      contents: { verified: true, payload: { sub: 'alice', jti } },
      key: { kid, state: 'active', history: [{ action: 'keys.generate', actor: 'carol' }] },
      registry: { jti, entry: { meta: { device: 'phone' } }, revocations: [] },
      user: { sub: 'alice', status: 'enabled' },
    });
    const { slot, node } = explained.registry;
    if (stores.redis === null) expect(slot).toBeNull();
    else {
      expect(slot).toBe(await stores.redis.client.cluster('KEYSLOT', `${stores.redis.prefix}:{alice}`));
      const owners = [...(await stores.redis.keys())].filter(([, keys]) =>
        keys.includes(`${stores.redis?.prefix}:{alice}`),
      );
      expect(owners.map(([name]) => name)).toEqual([node]);
    }
  });

  test('shows who revoked a token, when, and why', async () => {
    const at = stores.clock.now();
    await stores.json('token', 'revoke', token, '--reason', 'phone lost', '--actor', 'bob');
    const explained = await explain(token);
    expect(explained.verdicts).toBe('passed passed refused passed');
    expect(codesOf(explained.checks.registry)).toEqual(['ERR_TOKEN_REVOKED']);
    expect(explained.registry).toMatchObject({
      entry: null,
      revocations: [
        {
          ...{ type: 'token_revoked', at, reason: 'phone lost' },
          origin: { actor: 'bob', action: 'token.revoke', target: `alice ${jti}` },
        },
      ],
    });
    expect(explained.text).toMatch(/token revoked .* by bob \(.*\), reason: phone lost/);
    expect(explained.text).toContain('`jwtctl token list --sub alice` lists');
  });

  test('shows the login only if it differs from the actor', async () => {
    await stores.json('token', 'revoke', token);
    expect((await explain(token)).text).toMatch(/token revoked .*, by \S+@[^ ()]+, reason: none given/);
  });

  test('shows who revoked all tokens of the subject, and the latest first', async () => {
    await stores.json('token', 'revoke', token, '--actor', 'bob');
    stores.clock.advance(10);
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--actor', 'dave', '--yes');
    const { registry } = await explain(token);
    const actors = registry.revocations.map(({ origin }: { origin: { actor: string } }) => origin.actor);
    expect(actors).toEqual(['dave', 'bob']);
  });

  test('shows who revoked a token first if two admins do it in one second', async () => {
    await stores.json('token', 'revoke', token, '--reason', 'phone lost', '--actor', 'bob');
    await stores.json('token', 'revoke', token, '--reason', 'to be sure', '--actor', 'dave');
    const { registry } = await explain(token);
    expect(registry.revocations).toMatchObject([{ reason: 'phone lost', origin: { actor: 'bob' } }]);
  });

  test('shows who revoked all tokens, for one that the event names because its iat is ahead', async () => {
    stores.clock.advance(1_000);
    const { token: ahead } = await stores.json('token', 'issue', '--sub', 'alice');
    stores.clock.advance(-900);
    await stores.json(
      'token',
      'revoke',
      '--sub',
      'alice',
      '--all',
      '--yes',
      '--reason',
      'moved',
      '--actor',
      'bob',
    );
    const { registry } = await explain(ahead);
    expect(registry.revocations).toMatchObject([
      { type: 'token_revoked', origin: { actor: 'bob', target: 'alice' } },
    ]);
    stores.clock.advance(900);
  });

  /** As if the events had expired. */
  const forgetEvents = () => stores.query("DELETE FROM security_log WHERE sub = 'alice'");

  test('shows who disabled a user for a time long ago', async () => {
    stores.clock.advance(10);
    await stores.json('users', 'disable', 'alice', '--actor', 'eve');
    await stores.json('users', 'enable', 'alice', '--actor', 'carol');
    stores.clock.advance(10);
    await stores.json('users', 'disable', 'alice', '--for', '1d', '--reason', 'left', '--actor', 'bob');
    await forgetEvents();
    const { user } = await explain(token);
    expect(user.lastChange).toMatchObject({ action: 'users.disable', actor: 'bob', reason: 'left' });
  });

  test('names no cause if the last change in the audit log enabled the user', async () => {
    stores.clock.advance(10);
    await stores.json('users', 'disable', 'alice', '--actor', 'eve');
    stores.clock.advance(10);
    await stores.json('users', 'enable', 'alice', '--actor', 'carol');
    await stores.query("UPDATE users SET status = 'disabled' WHERE sub = 'alice'");
    await forgetEvents();
    const { user, text } = await explain(token);
    expect(user).toMatchObject({ status: 'disabled', lastChange: null });
    expect(text).toContain('the audit log does not say who disabled the user');
  });

  test('checks the typ of a token whose signature is invalid', async () => {
    const forged = await signJws(rsaPair(), { alg: 'RS256', typ: 'logout+jwt', kid }, claimsOf(token));
    expect(codesOf((await explain(forged)).checks.claims)).toEqual(['ERR_TOKEN_TYPE_REFUSED']);
  });

  test('writes nothing', async () => {
    const forged = await signJws(rsaPair(), { alg: 'RS256', kid }, claimsOf(token));
    // The cached status of the user has expired, so a verification would store it again.
    stores.clock.advance(600);
    const before = await stores.content();
    for (const candidate of [forged, token]) await stores.run('token', 'explain', '--', candidate);
    expect(await stores.content()).toBe(before);
  });

  test('performs every check of an expired token of a disabled user with another audience', async () => {
    stores.clock.advance(3_700);
    await stores.json('users', 'disable', 'alice', '--reason', 'left', '--actor', 'bob', '--for', '1d');
    const explained = await explain(token, '--aud', 'api');
    expect(explained.verdicts).toBe('passed refused refused refused');
    expect(codesOf(explained.checks.claims)).toEqual(['ERR_TOKEN_EXPIRED', 'ERR_AUDIENCE_MISMATCH']);
    expect(codesOf(explained.checks.registry)).toEqual(['ERR_TOKEN_NOT_REGISTERED']);
    expect(codesOf(explained.checks.user)).toEqual(['ERR_USER_DISABLED']);
    expect(explained.user).toMatchObject({
      status: 'disabled',
      disabledUntil: stores.clock.now() + 86_400,
      lastChange: { action: 'users.disable', actor: 'bob', reason: 'left' },
    });
    expect(explained.text).toContain('What to do: ');
  });

  test('shows the contents of a forged token as not verified', async () => {
    const claims = claimsOf(token);
    const forged = await signJws(rsaPair(), { alg: 'RS256', kid }, { ...claims, role: 'admin' });
    const explained = await explain(forged);
    expect(explained.verdicts).toBe('refused passed passed passed');
    expect(codesOf(explained.checks.signature)).toEqual(['ERR_SIGNATURE_INVALID']);
    expect(explained.contents).toMatchObject({ verified: false, payload: { role: 'admin' } });
    expect(explained.text).toContain('contents, not verified');
  });

  test('explains a token of an unknown key, and of an unknown user', async () => {
    const claims = claimsOf(token);
    const foreign = await signJws(rsaPair(), { alg: 'RS256', kid: 'foreign' }, { ...claims, sub: 'zoe' });
    const explained = await explain(foreign);
    expect(explained.verdicts).toBe('refused passed not_checked refused');
    expect(codesOf(explained.checks.user)).toEqual(['ERR_USER_UNKNOWN']);
    expect(explained.key).toBeNull();
  });

  test('explains text that is no token', async () => {
    for (const text of ['nonsense', 'a.b.c', '{}'])
      expect(await explain(text)).toMatchObject({ contents: null, key: null, registry: null, user: null });
  });

  test('shows the history of a compromised key, and no whole token or signature', async () => {
    const own = await openStores(backend);
    try {
      const { kid: leaked } = await own.json('keys', 'generate');
      const issued = await own.json('token', 'issue', '--sub', 'alice', '--create-user');
      await own.json('keys', 'compromise', leaked, '--reason', 'leaked', '--actor', 'bob', '--yes');
      const result = await own.run('token', 'explain', '-', '--json', { stdin: issued.token });
      expect(result.exitCode).toBe(1);
      const { key, checks, registry } = result.json();
      expect(key).toMatchObject({ kid: leaked, state: 'compromised', compromisedAt: own.clock.now() });
      expect(key.history).toContainEqual(
        expect.objectContaining({ action: 'keys.compromise', actor: 'bob', reason: 'leaked' }),
      );
      expect(codesOf(checks.signature)).toEqual(['ERR_KEY_NOT_TRUSTED']);
      expect(registry.revocations).toMatchObject([
        { type: 'key_compromised', reason: 'leaked', origin: { actor: 'bob' } },
      ]);
      const secrets = [issued.token, issued.token.split('.')[2], 'BEGIN PRIVATE KEY'];
      for (const secret of secrets) expect(result.stdout + result.stderr).not.toContain(secret);
    } finally {
      await own.close();
    }
  });
});

test('prints no private key', () => {
  expect(everythingPrinted.join('')).not.toContain('PRIVATE KEY');
});
