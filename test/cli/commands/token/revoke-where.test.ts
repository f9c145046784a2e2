import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('token revoke --where, on %s', (backend) => {
  let stores: Stores;

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  const issue = (sub: string, ...flags: string[]) =>
    stores.json('token', 'issue', '--create-user', '--sub', sub, ...flags);
  const revoke = (sub: string, ...flags: string[]) =>
    stores.json('token', 'revoke', '--sub', sub, ...flags, '--yes');
  const live = async (sub: string) =>
    (await stores.json('token', 'list', '--sub', sub)).map(({ jti }: { jti: string }) => jti);

  test('ends the tokens and sessions that have all pairs, in the security log first', async () => {
    const phone = await issue('alice', '--meta', 'device=phone', '--meta', 'city=Graz');
    const session = await issue('alice', '--meta', 'device=phone', '--refresh');
    const car = await issue('alice', '--meta', 'device=car');
    const plain = await issue('alice');
    const before = await stores.content();
    expect(await revoke('alice', '--where', 'device=phone', '--dry-run')).toMatchObject({
      ...{ dryRun: true, revoked: 0, wouldRevoke: 2, wouldEndSessions: 1 },
    });
    expect(await stores.content()).toBe(before);
    const both = ['--where', 'device=phone', '--where', 'city=Graz'];
    expect(await revoke('alice', ...both)).toMatchObject({ revoked: 1, alreadyGone: 0, complete: true });
    expect(await revoke('alice', '--where', 'device=phone')).toMatchObject({ revoked: 1, sessions: 1 });
    expect((await live('alice')).sort()).toEqual([car.jti, plain.jti].sort());

    const events = await stores.query('SELECT type, jti FROM security_log WHERE sub = ? ORDER BY id', [
      'alice',
    ]);
    expect(events).toEqual([
      { type: 'token_revoked', jti: phone.jti },
      { type: 'family_revoked', jti: session.jti.split('.')[0] },
    ]);
  });

  test('ends a session whose access token has expired', async () => {
    await issue('bob', '--meta', 'device=phone', '--refresh', '--ttl', '60s');
    stores.clock.advance(120);
    expect(await revoke('bob', '--where', 'device=phone')).toMatchObject({ sessions: 1 });
    expect(await live('bob')).toEqual([]);
  });

  test('says how many tokens have no meta, because a client of Redis may have removed it', async () => {
    const lost = await issue('dave', '--meta', 'device=phone');
    if (stores.redis === null)
      await stores.query("UPDATE registry_entries SET meta = NULL WHERE sub = 'dave'");
    else await stores.redis.client.unlink(`${stores.redis.prefix}:{dave}:meta`);
    await issue('dave', '--meta', 'device=phone');
    await issue('dave', '--meta', 'device=car');
    await issue('dave');
    const argv = ['token', 'revoke', '--sub', 'dave', '--where', 'device=phone', '--yes'];
    const planned = await stores.run(...argv, '--dry-run');
    expect(planned.stderr).toContain(
      '2 other live tokens of the subject have no meta, so they would not be revoked.',
    );
    const revoked = await stores.run(...argv);
    expect(revoked.stderr).toContain(
      '2 other live tokens of the subject have no meta, so they are not revoked.',
    );
    expect(await live('dave')).toContain(lost.jti);
    expect(await revoke('dave', '--where', 'device=car')).toMatchObject({ revoked: 1, withoutMeta: 2 });
    expect(await revoke('dave', '--all')).not.toHaveProperty('withoutMeta');
  });

  test('says that no token has the pair, and records nothing', async () => {
    await issue('carol', '--meta', 'device=phone');
    const before = await stores.content();
    const { exitCode, stderr } = await stores.run(
      'token',
      'revoke',
      '--sub',
      'carol',
      '--where',
      'device=car',
      '--yes',
    );
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('no live tokens with this meta')]);
    expect(await stores.content()).toBe(before);
  });

  test.each([
    ['--where', 'device=phone'],
    ['--sub', 'carol', '--where', 'phone'],
    ['--sub', 'carol', '--where', 'a=b', '--where', 'a=c'],
    ['--sub', 'carol', '--where', 'a=b', '--all'],
    ['--sub', 'carol', '--where', 'a=b', '--issued-before', '1'],
  ])('refuses %s %s %s %s %s', async (...flags) => {
    expect((await stores.run('token', 'revoke', ...flags.filter(Boolean))).exitCode).toBe(2);
  });
});
