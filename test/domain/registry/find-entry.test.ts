import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RegistryEntry } from '../../../src/domain/ports/index.js';
import { findEntry } from '../../../src/domain/registry/find-entry.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';
import { registerOne } from '../../support/registering.js';
import { signingKey } from '../../support/signing-keys.js';

const active = signingKey({ kid: 'this-year', state: 'active' });
const leaked = signingKey({ kid: 'leaked', state: 'compromised' });

let service: EmbeddedService;
let now: number;
beforeEach(async () => {
  service = await openEmbeddedService();
  now = service.clock.now();
});
afterEach(() => service.close());

function entry(jti: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
  return { jti, keyId: active.id, iat: now - 10, exp: now + 3600, ...parts };
}

function find(sub: string, jti: string, parts: { key?: typeof active; iat?: number } = {}) {
  const { registry, database } = service;
  return findEntry({ registry, users: database.users }, [active, leaked], { sub, jti, now, ...parts });
}

test('returns one entry with the states of its key and user', async () => {
  const user = { status: 'enabled', version: 3, until: now + 60 } as const;
  await registerOne(service.registry, 'alice', entry('a'), { now, meta: { device: 'phone' }, user });
  await registerOne(service.registry, 'alice', entry('b'), { now });
  await registerOne(service.registry, 'bob', entry('a', { keyId: leaked.id }), { now });
  await service.database.users.add({ sub: 'alice', name: null, at: now });
  await service.database.users.setStatus('alice', 'disabled', now);

  expect(await find('alice', 'a')).toEqual({
    ...{ sub: 'alice', jti: 'a', kid: 'this-year', state: 'active', iat: now - 10, exp: now + 3600 },
    ...{ meta: { device: 'phone' }, node: 'jwtctl.db', userStatus: 'disabled', cachedUser: user },
  });
  expect(await find('bob', 'a')).toMatchObject({
    ...{ kid: 'leaked', state: 'compromised', meta: null, userStatus: 'unknown', cachedUser: null },
  });
});

test('returns an entry whose key has no row', async () => {
  await registerOne(service.registry, 'alice', entry('a', { keyId: 999_999 }), { now });
  expect(await find('alice', 'a')).toMatchObject({ kid: null, state: null });
});

test.each([
  { sub: 'alice', jti: 'b' },
  { sub: 'bob', jti: 'a' },
  { sub: 'alice', jti: 'A' },
  { sub: 'alice', jti: '' },
  { sub: 'alice', jti: 'expired' },
])('$jti of $sub is not found', async ({ sub, jti }) => {
  await registerOne(service.registry, 'alice', entry('a'), { now });
  await registerOne(service.registry, 'alice', entry('expired', { exp: now - 5 }), { now: now - 20 });
  await expect(find(sub, jti)).rejects.toMatchObject({ kind: 'not_found', code: 'ERR_ENTRY_NOT_FOUND' });
});

test('refuses an ambiguous jti and lists all matches', async () => {
  const entries = [entry('a'), entry('a', { keyId: leaked.id }), entry('a', { iat: now - 99 })];
  for (const one of entries) await registerOne(service.registry, 'alice', one, { now });

  await expect(find('alice', 'a')).rejects.toMatchObject({
    ...{ kind: 'state', code: 'ERR_ENTRY_AMBIGUOUS' },
    message: expect.stringMatching(/3 live tokens a: .*leaked issued at/),
  });
  expect(await find('alice', 'a', { key: leaked })).toMatchObject({ kid: 'leaked' });
  await expect(find('alice', 'a', { key: active })).rejects.toMatchObject({ code: 'ERR_ENTRY_AMBIGUOUS' });
  expect(await find('alice', 'a', { key: active, iat: now - 99 })).toMatchObject({ iat: now - 99 });
});
