import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('token issue --act on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
  });
  afterAll(() => stores?.close());

  const act = (...flags: string[]) => [
    'token',
    'issue',
    '--sub',
    'alice',
    '--act',
    'op@example.com',
    ...flags,
  ];
  const reason = ['--reason', 'ticket 7'];

  test('names the operator in the token, its list, and the audit log', async () => {
    const other = await stores.json('token', 'issue', '--sub', 'alice');
    const issued = await stores.json(...act(...reason, '--meta', 'device=x'));
    expect(issued.exp - issued.iat).toBe(900);
    const { payload } = await stores.json('token', 'verify', issued.token);
    expect(payload).toMatchObject({ sub: 'alice', act: { sub: 'op@example.com' } });
    const where = ['--sub', 'alice', '--where', 'act=op@example.com'];
    expect(await stores.json('token', 'list', ...where)).toMatchObject([
      { jti: issued.jti, meta: { device: 'x', act: 'op@example.com' } },
    ]);
    const rows = await stores.query(
      `SELECT target, reason FROM audit_log WHERE action = 'token.impersonate'`,
    );
    expect(rows).toEqual([{ target: `alice ${issued.jti}`, reason: 'op@example.com: ticket 7' }]);
    await stores.json('token', 'revoke', ...where, '--yes');
    expect((await stores.run('token', 'verify', issued.token)).exitCode).toBe(1);
    expect((await stores.run('token', 'verify', other.token)).exitCode).toBe(0);
  });

  test.each([
    ['no reason', act(), 'ERR_FLAG_COMBINATION'],
    ['a reason alone', ['token', 'issue', '--sub', 'alice', ...reason], 'ERR_FLAG_COMBINATION'],
    ['many users', ['token', 'issue', '--sub-file', '-', '--act', 'op', ...reason], 'ERR_FLAG_COMBINATION'],
    ['a longer lifetime', act(...reason, '--ttl', '901s'), 'ERR_TTL_TOO_LONG'],
    ['a refresh token', act(...reason, '--refresh'), 'ERR_ACT_INVALID'],
    ['a claim act', ['token', 'issue', '--sub', 'alice', '--claim', 'act={"sub":"x"}'], 'ERR_CLAIM_RESERVED'],
    ['a chain', act(...reason, '--claim', 'act={"sub":"x"}'), 'ERR_CLAIM_RESERVED'],
    ['a meta act', ['token', 'issue', '--sub', 'alice', '--meta', 'act=x'], 'ERR_META_INVALID'],
    [
      'an empty operator',
      ['token', 'issue', '--sub', 'alice', '--act', '', ...reason],
      'ERR_SUBJECT_INVALID',
    ],
  ])('refuses %s, and changes nothing', async (_what, line, code) => {
    const before = await stores.content();
    const { exitCode, error } = await stores.run(...line, '--json');
    expect([exitCode, error().code]).toEqual([2, code]);
    expect(await stores.content()).toBe(before);
  });

  test('shortens a long reason in the audit log, without half a character', async () => {
    const { jti } = await stores.json(...act('--reason', `${'x'.repeat(983)}😀`));
    const [row] = await stores.query('SELECT reason FROM audit_log WHERE target = ?', [`alice ${jti}`]);
    expect(row).toEqual({ reason: `op@example.com: ${'x'.repeat(983)}\ufffd` });
    // The hash of a lone surrogate is not that of the character that the database stores for it.
    expect((await stores.run('audit', 'verify')).exitCode).toBe(0);
  });

  test('takes the limit from token.actMaxTtl, and the default from the shorter one', async () => {
    stores.env.JWTCTL_TOKEN_ACT_MAX_TTL = '2h';
    const longer = await stores.json(...act(...reason, '--ttl', '2h'));
    const usual = await stores.json(...act(...reason));
    delete stores.env.JWTCTL_TOKEN_ACT_MAX_TTL;
    expect([longer, usual].map(({ exp, iat }) => exp - iat)).toEqual([7_200, 3_600]);
  });
});
