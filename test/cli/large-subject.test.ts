import { beforeAll, describe, expect, test } from 'vitest';
import { MOST_LISTED } from '../../src/domain/ports/entry-store.js';
import { keyIds } from '../support/planted-entries.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

/** Adds one entry more than a list may have, all issued after the real ones. */
const FORGE_IN_REDIS = `for i = 1, ${MOST_LISTED + 1} do
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2] .. '.forged-' .. i)
end`;
const FORGE_IN_SQLITE = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n <= ${MOST_LISTED})
  INSERT INTO registry_entries (sub, jti, key_id, iat, exp) SELECT 'alice', 'forged-' || n, ?, ?, ? FROM numbers`;

describe.each(BACKENDS)('a subject with more entries than a list may have, on %s', (backend) => {
  let stores: Stores;
  let tokens: string[];

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
    tokens = [];
    for (const device of ['phone', 'tablet', 'car'])
      tokens.push(
        (
          await stores.json(
            ...['token', 'issue', '--sub', 'alice', '--create-user', '--meta', `device=${device}`],
          )
        ).token,
      );
    const keyId = (await keyIds(stores)).k1 ?? expect.unreachable();
    const [iat, exp] = [stores.clock.now() + 1, stores.clock.now() + 600];
    if (stores.redis === null) await stores.query(FORGE_IN_SQLITE, [keyId, iat, exp].map(String));
    else {
      const member = `${keyId.toString(36)}.${iat.toString(36)}`;
      await stores.redis.client.eval(FORGE_IN_REDIS, 1, `${stores.redis.prefix}:{alice}`, exp, member);
    }
    return () => stores.close();
  });

  const verdicts = async () => {
    const results = tokens.map(async (token) =>
      (await stores.run('token', 'verify', token, '--json')).json(),
    );
    return (await Promise.all(results)).map(({ active, error }) => (active ? 'active' : error.code));
  };

  test('is not listed without --limit, and its oldest tokens are with it', async () => {
    const refused = await stores.run('token', 'list', '--sub', 'alice', '--json');
    expect(refused.exitCode).toBe(3);
    expect(JSON.parse(refused.stderr).error).toMatchObject({ code: 'ERR_SUBJECT_TOO_LARGE' });
    const first = await stores.json('token', 'list', '--sub', 'alice', '--limit', '2');
    expect(first.map(({ meta }: { meta: { device: string } }) => meta.device).sort()).toHaveLength(2);
  });

  test('has its tokens explained', async () => {
    const { registry, active } = await stores.json('token', 'explain', tokens[0] ?? '');
    expect({ active, registry }).toMatchObject({
      active: true,
      registry: { entry: { meta: expect.anything() } },
    });
  });

  test('has its tokens revoked, by meta and by time', async () => {
    const where = await stores.json('token', 'revoke', '--sub', 'alice', '--where', 'device=car', '--yes');
    expect(where).toMatchObject({ revoked: 1, withoutMeta: MOST_LISTED + 1 });
    expect(await verdicts()).toEqual(['active', 'active', 'ERR_TOKEN_REVOKED']);
    const until = String(stores.clock.now());
    await stores.json('token', 'revoke', '--sub', 'alice', '--issued-before', until, '--yes');
    expect(await verdicts()).toEqual(Array(3).fill('ERR_TOKEN_REVOKED'));
  });
});
