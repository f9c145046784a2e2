import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { keyIds } from '../support/planted-entries.js';
import { type Planting, planting } from '../support/planting.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const YEAR = 365 * 86_400;

describe.each(BACKENDS)('entries with an iat in the future, on %s', (backend) => {
  let stores: Stores;
  let registry: Planting;
  let keyId: number;

  beforeEach(async () => {
    stores = await openStores(backend);
    onTestFinished(() => stores.close());
    registry = planting(stores);
    await stores.json('keys', 'generate', '--kid', 'k1');
    await stores.json('users', 'add', 'alice');
    keyId = (await keyIds(stores)).k1 ?? expect.unreachable();
  });

  function plant(jti: string, ahead: number) {
    const iat = stores.clock.now() + ahead;
    return registry.plantEntry('alice', { jti, keyId, iat, exp: iat + 600 });
  }

  /** Issues a token on a host whose clock is ahead. */
  async function issueAhead(
    seconds: number,
  ): Promise<{ jti: string; token: string; iat: number; exp: number }> {
    stores.clock.advance(seconds);
    const issued = await stores.json('token', 'issue', '--sub', 'alice');
    stores.clock.advance(-seconds);
    return issued;
  }

  async function verdict(token: string): Promise<string> {
    const { active, error } = (await stores.run('token', 'verify', token, '--json')).json();
    return active ? 'active' : error.code;
  }

  const events = () => stores.query('SELECT * FROM security_log ORDER BY id');

  const WAYS = [
    ['token revoke --sub', ['token', 'revoke', '--sub', 'alice', '--all', '--yes']],
    ['token revoke --kid', ['token', 'revoke', '--kid', 'k1', '--yes']],
    ['users remove', ['users', 'remove', 'alice', '--yes']],
  ] as const;

  test.each(WAYS)('%s ends them, and refuses no token issued after the clock tolerance', async (_, words) => {
    await plant('forged', 10 * YEAR);
    await stores.json(...words);
    expect(await registry.jtis('alice')).toEqual([]);
    for (const { issued_before: issuedBefore } of await events())
      expect(Number(issuedBefore ?? 0)).toBeLessThanOrEqual(stores.clock.now() + 5);

    await stores.run('users', 'add', 'alice');
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    stores.clock.advance(6);
    expect(await verdict(token)).toBe('active');
  });

  test.each(WAYS)(
    '%s ends a token of a host whose clock is ahead, even if its entry comes back',
    async (_, words) => {
      const { token, jti, iat, exp } = await issueAhead(600);
      await stores.json(...words);
      await stores.run('users', 'add', 'alice');
      stores.clock.advance(600);
      await registry.plantEntry('alice', { jti, keyId, iat, exp });
      expect(await verdict(token)).toBe('ERR_TOKEN_REVOKED');
      const [named] = (await events()).filter(({ type }) => type === 'token_revoked');
      expect(Number(named?.expires_at)).toBeGreaterThan(exp);
    },
  );

  test('a session of a host whose clock is ahead ends as a whole', async () => {
    stores.clock.advance(600);
    await stores.json('token', 'issue', '--sub', 'alice', '--refresh');
    stores.clock.advance(-600);
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    expect((await events()).map(({ type }) => type)).toEqual(['family_revoked', 'subject_revoked']);
  });

  test('any number of them adds a limited number of events, which are kept for a limited time', async () => {
    const { token, jti, iat, exp } = await issueAhead(60);
    for (let index = 0; index < 1100; index++) await plant(`forged-${index}`, 100 * YEAR + index);
    await stores.json('token', 'revoke', '--sub', 'alice', '--all', '--yes');
    expect(await registry.jtis('alice')).toEqual([]);
    const recorded = await events();
    expect(recorded).toHaveLength(501);
    for (const { expires_at: expiresAt } of recorded)
      expect(Number(expiresAt)).toBeLessThan(stores.clock.now() + YEAR);
    stores.clock.advance(60);
    await registry.plantEntry('alice', { jti, keyId, iat, exp });
    expect(await verdict(token)).toBe('ERR_TOKEN_REVOKED');
  }, 60_000);
});
