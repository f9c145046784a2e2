import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readKeys } from '../../../src/domain/key-files/read-keys.js';
import { activateKey } from '../../../src/domain/keys/activate.js';
import { importKeys, type KeyImportPorts, type NamedKey, nameKeys } from '../../../src/domain/keys/import.js';
import { retireKey } from '../../../src/domain/keys/retire.js';
import type { Database } from '../../../src/domain/ports/index.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import {
  freshJwk,
  jwkWithExponent,
  jwkWithThumbprint,
  type PrivateJwk,
  thumbprintOf,
} from '../../support/private-keys.js';

let service: EmbeddedService;
let first: PrivateJwk;
let second: PrivateJwk;

beforeAll(() => {
  first = freshJwk();
  second = freshJwk();
});
beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

const read = (...jwks: object[]) =>
  readKeys(JSON.stringify({ keys: jwks }), {
    name: 'jwks.json',
    wanted: 'private',
    askPassphrase: () => Promise.reject(new Error('Not encrypted.')),
  });

const named = async (...jwks: object[]): Promise<readonly NamedKey[]> =>
  (await nameKeys(await read(...jwks), { defaultAlg: 'RS256' })).keys;

async function importing(
  keys: readonly NamedKey[],
  options: { dryRun?: boolean; ports?: KeyImportPorts; sign?: string; isStrict?: boolean } = {},
) {
  const { ports = service.ports, dryRun = false, ...more } = options;
  const policy = { ...POLICY, rotateAfterSeconds: 86_400, publishLeadSeconds: 600 };
  return importKeys(ports, { ...policy, keys, skipped: [], ...more, dryRun });
}

const stored = async () =>
  (await service.database.keys.snapshot()).keys.map(({ kid, state }) => [kid, state]);

async function audited(): Promise<Array<[string, string, string | null]>> {
  const rows = await service.db
    .selectFrom('audit_log')
    .selectAll()
    .where('action', '=', 'keys.import')
    .execute();
  return rows.map(({ target, outcome, reason }) => [target, outcome, reason]);
}

describe('nameKeys', () => {
  test('prefers the given kid to the kid of the file, and that to the thumbprint', async () => {
    const file = await read({ ...first, kid: 'from-file' }, second);
    expect(await nameKeys(file, { defaultAlg: 'PS256' })).toMatchObject({
      keys: [
        { kid: 'from-file', alg: 'PS256', isAlgGiven: false },
        { kid: thumbprintOf(second), alg: 'PS256' },
      ],
      skipped: [],
    });
    const one = await read({ ...first, kid: 'from-file' });
    expect(await nameKeys(one, { kid: 'given', alg: 'RS512', defaultAlg: 'PS256' })).toMatchObject({
      keys: [{ kid: 'given', alg: 'RS512', isAlgGiven: true }],
    });
  });

  test.each([/^-/, /^_/])('accepts a thumbprint like %s', async (begin) => {
    expect(await named(jwkWithThumbprint(begin))).toMatchObject([{ kid: expect.stringMatching(begin) }]);
  });

  test.each(['', 'a\n', 'x'.repeat(256)])('refuses the kid %j', async (kid) => {
    const file = await read({ ...first, kid });
    await expect(nameKeys(file, { defaultAlg: 'RS256' })).rejects.toMatchObject({
      ...{ kind: 'usage', code: 'ERR_KID_INVALID' },
    });
    expect((await nameKeys(file, { kid: 'k2', defaultAlg: 'RS256' })).keys).toMatchObject([{ kid: 'k2' }]);
  });

  test('skips a kid or modulus that an earlier key of the set has, and refuses it with isStrict', async () => {
    for (const jwks of [
      [
        { ...first, kid: 'k2' },
        { ...second, kid: 'k2' },
      ],
      [
        { ...first, kid: 'k2' },
        { ...first, kid: 'k3' },
      ],
      [first, first],
    ]) {
      const file = await read(...jwks);
      expect(await nameKeys(file, { defaultAlg: 'RS256' })).toMatchObject({
        keys: [{ thumbprint: thumbprintOf(first) }],
        skipped: [{ error: { code: 'ERR_JWK_SET_DUPLICATE' } }],
      });
      await expect(nameKeys(file, { defaultAlg: 'RS256', isStrict: true })).rejects.toMatchObject({
        ...{ kind: 'usage', code: 'ERR_JWK_SET_DUPLICATE' },
      });
    }
  });

  test('refuses an alg other than the alg of the file', async () => {
    const file = await read({ ...first, alg: 'PS512' });
    expect((await nameKeys(file, { alg: 'PS512', defaultAlg: 'RS256' })).keys).toMatchObject([
      { alg: 'PS512' },
    ]);
    await expect(nameKeys(file, { alg: 'RS256', defaultAlg: 'RS256' })).rejects.toMatchObject({
      ...{ kind: 'usage', code: 'ERR_KEY_ALG_MISMATCH' },
    });
  });
});

describe('importKeys', () => {
  test('adds a pending key beside an active one, with a row in the audit log', async () => {
    const added = await named({ ...first, kid: 'k2' });
    const { keys, alreadyThere, active, next } = await importing(added, { sign: 'k2' });
    expect([active?.kid, next?.kid]).toEqual(['k1', 'k2']);
    expect(keys).toMatchObject([
      { kid: 'k2', state: 'pending', createdAt: service.clock.now(), maxTtlSeconds: null },
    ]);
    expect(alreadyThere).toEqual([]);
    expect(await audited()).toEqual([['k2', 'pending', null]]);
  });

  test('adds a verify-only key beside an active one unless told to sign', async () => {
    const { keys, active, next } = await importing(await named({ ...first, kid: 'k2' }));
    expect(keys).toMatchObject([{ kid: 'k2', state: 'retiring', activatedAt: null, masterKeyId: null }]);
    expect([active?.kid, next]).toEqual(['k1', null]);
    expect(await audited()).toEqual([['k2', 'verify-only', null]]);
  });

  test('lets a verify-only key sign later, and keeps its longest lifetime', async () => {
    const keys = await named({ ...first, kid: 'k2' });
    await importing(keys);
    const seconds = POLICY.maxTtlSeconds * 100;
    await service.database.transaction((stores) => stores.keys.raiseMaxTtl('k2', seconds));
    expect(await importing(keys, { sign: 'k2', dryRun: true })).toMatchObject({
      ...{ keys: [{ state: 'pending' }], alreadyThere: [], next: { kid: 'k2' } },
    });
    const upgraded = await importing(keys, { sign: 'k2' });
    expect(upgraded).toMatchObject({
      ...{ keys: [{ state: 'pending', masterKeyId: expect.any(String) }], next: { kid: 'k2' } },
    });
    const input = { policy: { ...POLICY, publishLeadSeconds: 0 }, now: true, dryRun: false } as const;
    const { key } = await activateKey(service.ports, { ...input, kid: 'k2', alg: 'RS256', bits: 2048 });
    expect(key).toMatchObject({ state: 'active', maxTtlSeconds: seconds });
  });

  test('adds a key once, whatever its state is by now', async () => {
    const keys = await named({ ...first, kid: 'k2', alg: 'RS256' });
    await importing(keys, { sign: 'k2' });
    expect((await importing(keys)).alreadyThere).toEqual(['k2']);
    const policy = { ...POLICY, publishLeadSeconds: 0 };
    const input = { policy, now: true, dryRun: false, alg: 'RS256', bits: 2048 } as const;
    await activateKey(service.ports, { ...input, kid: 'k2' });
    expect(await importing(keys)).toMatchObject({ keys: [{ state: 'active' }], alreadyThere: ['k2'] });
    await importing(await named({ ...second, kid: 'k3' }), { sign: 'k3' });
    await activateKey(service.ports, { ...input, kid: 'k3' });
    expect(await importing(keys)).toMatchObject({ keys: [{ state: 'retiring' }], alreadyThere: ['k2'] });
    expect((await audited()).map(([kid]) => kid)).toEqual(['k2', 'k3']);

    const retirement = { kid: 'k2', force: true, dryRun: false, clockToleranceSeconds: 0 };
    await retireKey(service.ports, retirement);
    await expect(importing(keys)).rejects.toMatchObject({ kind: 'state', code: 'ERR_KEY_RETIRED' });
    const renamed = await named({ ...first, kid: 'k4' });
    await expect(importing(renamed)).rejects.toMatchObject({ code: 'ERR_KEY_MATERIAL_EXISTS' });
  });

  test('refuses a compromised key, under any kid', async () => {
    const keys = await named({ ...first, kid: 'k2' });
    await importing(keys, { sign: 'k2' });
    const { revision } = await service.database.keys.snapshot();
    const at = service.clock.now();
    const leak = { kid: 'k2', from: 'pending', to: 'compromised', at } as const;
    await service.database.transaction((stores) => stores.keys.apply(revision, [leak]));
    await expect(importing(keys)).rejects.toMatchObject({ kind: 'state', code: 'ERR_KEY_COMPROMISED' });
    await expect(importing(await named({ ...first, kid: 'k3' }))).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_KEY_MATERIAL_EXISTS',
      message: expect.stringContaining('k2'),
    });
    await expect(importing(await named(first))).rejects.toMatchObject({ code: 'ERR_KEY_MATERIAL_EXISTS' });
  });

  test('refuses a kid that has other material or another alg', async () => {
    await importing(await named({ ...first, kid: 'k2', alg: 'PS256' }));
    for (const jwk of [
      { ...second, kid: 'k2' },
      { ...first, kid: 'k2', alg: 'RS256' },
    ]) {
      await expect(importing(await named(jwk))).rejects.toMatchObject({
        kind: 'state',
        code: 'ERR_KID_EXISTS',
      });
    }
    // `keys.algorithm` is only the default for new keys.
    expect((await importing(await named({ ...first, kid: 'k2' }))).keys).toMatchObject([{ alg: 'PS256' }]);
  });

  test('refuses a known modulus with another exponent', async () => {
    await importing(await named({ ...first, kid: 'k2' }));
    // The owner of one of the two private keys can compute the other.
    const sameModulus = jwkWithExponent(first, 65_539n);
    for (const [kid, code] of [
      ['k2', 'ERR_KID_EXISTS'],
      ['k3', 'ERR_KEY_MATERIAL_EXISTS'],
    ] as const) {
      await expect(importing(await named({ ...sameModulus, kid }))).rejects.toMatchObject({
        kind: 'state',
        code,
      });
    }
  });

  test('skips the keys of a set that are taken, and imports none of it with isStrict', async () => {
    await importing(await named({ ...first, kid: 'k2' }));
    const before = await stored();
    const partlyTaken = await named({ ...second, kid: 'k3' }, { ...first, kid: 'k4' });
    for (const options of [{ isStrict: true }, { sign: 'k4' }]) {
      await expect(importing(partlyTaken, options)).rejects.toMatchObject({
        code: 'ERR_KEY_MATERIAL_EXISTS',
      });
    }
    expect(await stored()).toEqual(before);
    expect(await importing(partlyTaken, { dryRun: true })).toMatchObject({
      keys: [{ kid: 'k3' }],
      skipped: [{ kid: 'k4', error: { code: 'ERR_KEY_MATERIAL_EXISTS' } }],
    });

    const { keys, alreadyThere } = await importing(
      await named({ ...second, kid: 'k3' }, { ...first, kid: 'k2' }),
    );
    expect(keys.map(({ kid }) => kid)).toEqual(['k3', 'k2']);
    expect(alreadyThere).toEqual(['k2']);
  });

  test('checks everything in a dry run, and neither seals nor stores', async () => {
    const before = await service.database.keys.snapshot();
    const sealer = { ...service.ports.sealer, seal: () => Promise.reject(new Error('Sealed.')) };
    const ports = { ...service.ports, sealer };
    const keys = await named({ ...first, kid: 'k2' });
    expect((await importing(keys, { dryRun: true, ports, sign: 'k2' })).keys).toMatchObject([
      { kid: 'k2', state: 'pending', masterKeyId: null, bits: 2048, retiredAt: null },
    ]);
    expect(await service.database.keys.snapshot()).toEqual(before);
    await importing(keys);
    await expect(
      importing(await named({ ...first, kid: 'k3' }), { dryRun: true, ports }),
    ).rejects.toMatchObject({ code: 'ERR_KEY_MATERIAL_EXISTS' });
  });

  test('stores nothing if sealing fails', async () => {
    const before = await service.database.keys.snapshot();
    const seal = () => Promise.reject(new Error('The vault is away.'));
    const sealer = { ...service.ports.sealer, seal };
    await expect(
      importing(await named({ ...first, kid: 'k2' }, { ...second, kid: 'k3' }), {
        ports: { ...service.ports, sealer },
        sign: 'k3',
      }),
    ).rejects.toThrow('The vault is away.');
    expect(await service.database.keys.snapshot()).toEqual(before);
  });

  test('adds a key once, under one kid, in concurrent runs', async () => {
    const same = await named({ ...first, kid: 'k2' });
    const ended = await Promise.all(Array.from({ length: 6 }, () => importing(same)));
    expect(ended.filter(({ alreadyThere }) => alreadyThere.length === 0)).toHaveLength(1);

    const kids = ['k3', 'k4', 'k5', 'k6'];
    const names = await Promise.all(kids.map((kid) => named({ ...second, kid })));
    const races = await Promise.allSettled(names.map((keys) => importing(keys)));
    const refusals = races.flatMap((race) => (race.status === 'rejected' ? [race.reason.code] : []));
    expect(refusals).toEqual(Array.from({ length: 3 }, () => 'ERR_KEY_MATERIAL_EXISTS'));
    expect(await stored()).toHaveLength(3);
  });

  test('plans again if the key store changed meanwhile', async () => {
    const keys = await named({ ...second, kid: 'k3' });
    const interrupting = await named({ ...second, kid: 'k2' });
    const { database } = service;
    let isFirst = true;
    const meddled: Database = {
      ...database,
      transaction: async (work) => {
        if (isFirst) {
          isFirst = false;
          await importing(interrupting);
        }
        return database.transaction(work);
      },
    };
    await expect(importing(keys, { ports: { ...service.ports, database: meddled } })).rejects.toMatchObject({
      code: 'ERR_KEY_MATERIAL_EXISTS',
      message: expect.stringContaining('k2'),
    });
    expect(await stored()).toEqual([
      ['k1', 'active'],
      ['k2', 'retiring'],
    ]);
  });
});
