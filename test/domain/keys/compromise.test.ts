import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CompromiseInput, compromiseKey } from '../../../src/domain/keys/compromise.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { rotateKeys } from '../../../src/domain/keys/rotate.js';
import type { Database, GlobalRemoval, Sealer, TokenRegistry } from '../../../src/domain/ports/index.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { Issuer } from '../../../src/domain/tokens/issue.js';
import { revokeSubject } from '../../../src/domain/tokens/revoke.js';
import {
  type EmbeddedService,
  openEmbeddedService,
  POLICY,
  SIGNING,
} from '../../support/embedded-service.js';
import { registerOne } from '../../support/registering.js';
import { newSealer } from '../../support/sealer.js';

const LEAD = 600;

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

const inputFor = (kid: string, input: Partial<CompromiseInput> = {}): CompromiseInput => ({
  kid,
  reason: 'found in a backup',
  policy: { ...POLICY, publishLeadSeconds: LEAD },
  alg: 'RS256',
  bits: 2048,
  dryRun: false,
  ...input,
});
const compromise = (kid: string, input: Partial<CompromiseInput> = {}) =>
  compromiseKey(service.ports, inputFor(kid, input));

async function addPending(kid: string): Promise<void> {
  const options = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: POLICY.maxTtlSeconds } as const;
  await generateKeys(service.ports, { ...options, kid });
}

async function states(): Promise<Record<string, string>> {
  const { keys } = await service.database.keys.snapshot();
  return Object.fromEntries(keys.map(({ kid, state }) => [kid, state]));
}

async function rows(table: 'audit_log' | 'security_log') {
  return service.db.selectFrom(table).selectAll().execute() as Promise<Array<Record<string, unknown>>>;
}

describe('compromiseKey', () => {
  test('refuses the key and its tokens, removes its entries, and wipes its private key', async () => {
    await addPending('k2');
    const tokens = await Promise.all(['alice', 'bob', 'bob'].map((sub) => service.issueTo(sub)));
    const report = await compromise('k1');

    expect(report).toMatchObject({
      key: { kid: 'k1', state: 'compromised', compromisedAt: service.clock.now(), masterKeyId: null },
      wasCompromised: false,
      active: 'k2',
      generationFailure: null,
      entries: { before: 3, removed: 3, after: 0, complete: true, missed: [] },
    });
    expect(report.entries.byNode).toEqual([{ node: expect.any(String), before: 3, removed: 3, after: 0 }]);
    for (const { token } of tokens) expect(await service.verdict(token)).toMatch(/REVOKED|NOT_TRUSTED/);
    expect(await service.database.keys.findSealed('k1')).toBeNull();
    expect(await service.registry.list('bob', service.clock.now())).toEqual([]);
  });

  test('activates the oldest pending key and publishes another one', async () => {
    await addPending('k2');
    service.clock.advance(LEAD);
    const report = await compromise('k1');
    expect(report).toMatchObject({ active: 'k2', isNotPrePublished: false });
    expect(await states()).toEqual({
      k1: 'compromised',
      k2: 'active',
      [report.pending as string]: 'pending',
    });
    await addPending('k3');
    expect(await compromise('k2')).toMatchObject({ active: report.pending, pending: 'k3' });
    expect((await service.issueTo('alice')).kid).toBe(report.pending);
  });

  test('activates a new key that is not pre-published if none is pending', async () => {
    const report = await compromise('k1');
    expect(report.isNotPrePublished).toBe(true);
    expect(await states()).toEqual({
      k1: 'compromised',
      [report.active as string]: 'active',
      [report.pending as string]: 'pending',
    });
    expect((await service.issueTo('alice')).kid).toBe(report.active);
  });

  test('keeps the active key and publishes another one if the key was pending', async () => {
    await addPending('k2');
    const report = await compromise('k2');
    expect(report).toMatchObject({ active: 'k1', isNotPrePublished: false });
    expect(await states()).toEqual({
      k1: 'active',
      k2: 'compromised',
      [report.pending as string]: 'pending',
    });
  });

  test('changes no other key if the key was retiring', async () => {
    await addPending('k2');
    const old = await service.issueTo('alice');
    await rotateKeys(service.ports, {
      ...inputFor('k1'),
      policy: {
        ...inputFor('k1').policy,
        rotateAfterSeconds: 1,
        isForced: true,
        keepsLead: false,
        leavesStragglers: false,
        needsFleet: false,
      },
    });
    const before = await states();
    expect(await compromise('k1')).toMatchObject({ active: 'k2', entries: { removed: 1 } });
    expect(await states()).toEqual({ ...before, k1: 'compromised' });
    expect(await service.verdict(old.token)).not.toBe('active');
  });

  test('keeps tokens of other keys valid', async () => {
    await addPending('k2');
    await compromise('k2');
    const { token } = await service.issueTo('alice');
    expect(await service.verdict(token)).toBe('active');
  });

  test('makes a verifier refuse the token even if its entry comes back', async () => {
    const { token, jti, iat, exp } = await service.issueTo('alice');
    const entry = { jti, iat, exp, keyId: (await service.database.keys.find('k1'))?.id as number };
    expect(await service.verdict(token)).toBe('active');
    await compromise('k1');
    // As a failover may do.
    await registerOne(service.registry, 'alice', entry, { now: service.clock.now() });
    expect(await service.verdict(token)).toBe('ERR_TOKEN_REVOKED');
  });

  test('makes an issuer with the key in its cache sign with the next one', async () => {
    await addPending('k2');
    await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
    const issuer = service.issuer();
    expect((await issuer.issue({ sub: 'alice' })).kid).toBe('k1');
    await compromise('k1');
    const later = await Promise.all([1, 2, 3].map(() => issuer.issue({ sub: 'alice' })));
    expect(later.map(({ kid }) => kid)).toEqual(['k2', 'k2', 'k2']);
    for (const { token } of later) expect(await service.verdict(token)).toBe('active');
  });
});

describe('an issuer whose key is compromised meanwhile', () => {
  beforeEach(async () => {
    await addPending('k2');
    await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
  });

  const keyIds = async () =>
    (await service.registry.list('alice', service.clock.now())).map(({ keyId }) => keyId);
  const idOf = async (kid: string) => (await service.database.keys.find(kid))?.id;

  test('signs with the next key if it waited for a revocation', async () => {
    await revokeSubject(service.ports, POLICY, { sub: 'alice' }, { reason: null, dryRun: false });
    const issuing = service.issuer().issue({ sub: 'alice' });
    await service.clock.awaited();
    expect((await compromise('k1')).entries).toMatchObject({ after: 0, complete: true });
    service.clock.advance(1);
    const { token, kid } = await issuing;
    expect(kid).toBe('k2');
    expect(await service.verdict(token)).toBe('active');
    expect(await keyIds()).toEqual([await idOf('k2')]);
  });

  test('returns no token and leaves no entry under the key if it was about to register one', async () => {
    let compromised: Promise<unknown> | undefined;
    const { registry } = service.withRegistry({
      registerMany: async (...args) => {
        // After the last walk confirmed that no entry is left.
        compromised ??= compromise('k1');
        await compromised;
        return service.registry.registerMany(...args);
      },
    });
    const issuer = new Issuer(
      { ...service.ports, registry, users: service.database.users, ...SIGNING },
      POLICY,
    );
    const { token, kid } = await issuer.issue({ sub: 'alice' });
    expect(await compromised).toMatchObject({ entries: { after: 0, complete: true } });
    expect(kid).toBe('k2');
    expect(await service.verdict(token)).toBe('active');
    expect(await keyIds()).toEqual([await idOf('k2')]);
  });
});

describe('records', () => {
  test('contain a security event that lasts until the last token under the key has expired', async () => {
    await compromise('k1');
    const now = service.clock.now();
    const [event, ...others] = await rows('security_log');
    expect(others).toEqual([]);
    expect(event).toMatchObject({ type: 'key_compromised', kid: 'k1', reason: 'found in a backup', at: now });
    expect(event?.expires_at).toBeGreaterThanOrEqual(
      now + 60 + POLICY.maxTtlSeconds + POLICY.clockToleranceSeconds,
    );
  });

  test('contain an audit row for each changed key, and one for the entries', async () => {
    await addPending('k2');
    await service.issueTo('alice');
    const { pending } = await compromise('k1');
    const entries = (await rows('audit_log')).filter(({ action }) => action === 'keys.compromise');
    expect(entries.map(({ target, outcome, reason }) => [target, outcome, reason])).toEqual([
      ['k1', 'compromised', 'found in a backup'],
      ['k2', 'active', 'found in a backup'],
      ['k1', 'entries removed', 'found in a backup'],
      [pending, 'pending', 'found in a backup'],
    ]);
  });

  test('contain nothing if one of them cannot be written', async () => {
    await addPending('k2');
    const before = await states();
    await service.db.schema.dropTable('audit_head').execute();
    await expect(compromise('k1')).rejects.toThrow();
    expect(await states()).toEqual(before);
    expect(await rows('security_log')).toEqual([]);
  });
});

describe('a second run', () => {
  test('completes an incomplete one, and records no second event', async () => {
    await service.issueTo('alice');
    const away = new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
    const first = await compromiseKey(
      service.withRegistry({ removeEverywhere: () => Promise.reject(away) }),
      inputFor('k1'),
    );
    expect(first.entries).toEqual({
      before: 0,
      subjects: 0,
      removed: 0,
      after: null,
      byNode: [],
      replicasConfirmed: null,
      complete: false,
      missed: ['the whole registry (Redis is away.)'],
    });
    const second = await compromise('k1');
    expect(second).toMatchObject({
      wasCompromised: true,
      active: first.active,
      pending: first.pending,
      entries: { before: 1, removed: 1, after: 0, complete: true },
    });
    expect((await rows('security_log')).map(({ type }) => type)).toEqual(['key_compromised']);
  });

  test('reports the id of the event of the first run, and none for a dry run', async () => {
    const dry = await compromise('k1', { dryRun: true });
    const first = await compromise('k1');
    const again = await compromise('k1');
    const [event] = await rows('security_log');
    expect([dry.eventId, first.eventId, again.eventId]).toEqual([null, event?.id, event?.id]);
  });

  test('changes nothing, and adds no audit row, if nothing is left to do', async () => {
    await compromise('k1');
    const before = [await states(), await rows('audit_log'), await rows('security_log')];
    expect(await compromise('k1')).toMatchObject({ wasCompromised: true, entries: { before: 0, after: 0 } });
    expect([await states(), await rows('audit_log'), await rows('security_log')]).toEqual(before);
  });

  test('leaves one active key and one event with 8 concurrent runs', async () => {
    await addPending('k2');
    await service.issueTo('alice');
    const reports = await Promise.all(Array.from({ length: 8 }, () => compromise('k1')));
    expect(new Set(reports.map(({ active }) => active))).toEqual(new Set(['k2']));
    expect(reports.filter(({ wasCompromised }) => !wasCompromised)).toHaveLength(1);
    expect(Object.values(await states()).sort()).toEqual(['active', 'compromised', 'pending']);
    expect(await rows('security_log')).toHaveLength(1);
  });
});

describe('a new key that cannot be generated', () => {
  const vaultAway = (): Promise<never> =>
    Promise.reject(new JwtctlError('ERR_MASTER_KEY_COMMAND_FAILED', 'The vault is away.'));
  const withoutVault = () => {
    const sealer: Sealer = { ...service.ports.sealer, seal: vaultAway } as Sealer;
    return { ...service.ports, sealer };
  };

  test('does not keep a leaked key trusted: the pending key signs, and the next run publishes another', async () => {
    await addPending('k2');
    const { token } = await service.issueTo('alice');
    const report = await compromiseKey(withoutVault(), inputFor('k1'));
    expect(report).toMatchObject({ active: 'k2', pending: null, generationFailure: 'The vault is away.' });
    expect(await states()).toEqual({ k1: 'compromised', k2: 'active' });
    expect(await service.verdict(token)).not.toBe('active');
  });

  test('leaves no active key if there was only one, and the next run generates it', async () => {
    const report = await compromiseKey(withoutVault(), inputFor('k1'));
    expect(report).toMatchObject({ active: null, pending: null, generationFailure: 'The vault is away.' });
    await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
    await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({
      code: 'ERR_NO_ACTIVE_KEY',
    });
    const again = await compromise('k1');
    expect(again).toMatchObject({ wasCompromised: true, generationFailure: null });
    expect(await states()).toMatchObject({ k1: 'compromised', [again.active as string]: 'active' });
    expect((await service.issueTo('bob')).kid).toBe(again.active);
  });
});

describe('after the key is refused', () => {
  const REFUSED = { k1: 'compromised', k2: 'active' };
  beforeEach(() => addPending('k2'));

  test('reports a registry that cannot be opened', async () => {
    const unusable = new JwtctlError('ERR_CONFIG_FILE_MISSING', 'The file redis.password is not there.');
    const report = await compromiseKey(
      { ...service.ports, openRegistry: () => Promise.reject(unusable) },
      inputFor('k1'),
    );
    expect(report.entries.missed).toEqual(['the whole registry (The file redis.password is not there.)']);
    expect(await states()).toMatchObject(REFUSED);
  });

  test('a slow vault delays only the next pending key', async () => {
    const statesAtSealing: unknown[] = [];
    const sealer: Sealer = {
      ...service.ports.sealer,
      seal: async (...args) => {
        statesAtSealing.push(await states());
        return service.ports.sealer.seal(...args);
      },
    };
    const report = await compromiseKey({ ...service.ports, sealer }, inputFor('k1'));
    expect(statesAtSealing).toEqual([REFUSED]);
    expect(await states()).toEqual({ ...REFUSED, [report.pending as string]: 'pending' });
  });

  test('reports a bug in key generation without its message', async () => {
    const generator = { generate: () => Promise.reject(new TypeError('s3cret')) };
    const report = await compromiseKey({ ...service.ports, generator }, inputFor('k1'));
    expect(report).toMatchObject({
      active: 'k2',
      pending: null,
      generationFailure: 'a bug in jwtctl (TypeError)',
    });
    expect(await states()).toEqual(REFUSED);
  });

  test('reports an active key that does not open', async () => {
    const otherSealer = newSealer({ kind: 'value', text: randomBytes(32).toString('base64') }, service.clock);
    const report = await compromiseKey({ ...service.ports, sealer: otherSealer }, inputFor('k1'));
    expect(report).toMatchObject({ active: 'k2', openFailure: expect.stringMatching(/k2 .* keyring/) });
  });

  test('reports an audit row that cannot be written', async () => {
    const { database } = service;
    let transactions = 0;
    const away = new JwtctlError('ERR_MYSQL_UNREACHABLE', 'MySQL is away.');
    const failing: Database = {
      ...database,
      transaction: (work) => {
        transactions += 1;
        return transactions === 2 ? Promise.reject(away) : database.transaction(work);
      },
    };
    const report = await compromiseKey({ ...service.ports, database: failing }, inputFor('k1'));
    expect(report).toMatchObject({ auditFailure: 'MySQL is away.', pending: expect.any(String) });
  });

  test('leaves the rest to the next run after an interruption', async () => {
    const interruption = new AbortController();
    const ports = service.withRegistry({
      removeEverywhere: (...args) => {
        interruption.abort();
        return service.registry.removeEverywhere(...args);
      },
    });
    const report = await compromiseKey(ports, inputFor('k1', { signal: interruption.signal }));
    expect(report).toMatchObject({
      active: 'k2',
      pending: null,
      generationFailure: 'the run was interrupted',
    });
    expect(await states()).toEqual(REFUSED);
    expect(await compromise('k1')).toMatchObject({ pending: expect.any(String), generationFailure: null });
  });
});

describe('confirming the removal', () => {
  const walk = (parts: Partial<GlobalRemoval>): GlobalRemoval => ({
    matched: 0,
    removed: 0,
    subjects: 0,
    largestIat: null,
    byNode: [],
    byKeyId: [],
    replicasConfirmed: null,
    complete: true,
    missed: [],
    ...parts,
  });
  const on = (node: string, matched: number, removed = 0) => ({ node, matched, removed });

  /** Answers walks in this order, removals and counts in turn. */
  const withWalks = (...walks: GlobalRemoval[]) => {
    const asked: boolean[] = [];
    const next = (isCount: boolean): GlobalRemoval => {
      asked.push(isCount);
      return walks[asked.length - 1] ?? walk({});
    };
    const scan: TokenRegistry['scan'] = async (onSubjects) => {
      const { matched: total, byNode, complete, missed } = next(true);
      const { keys } = await service.database.keys.snapshot();
      const keyId = keys.find(({ kid }) => kid === 'k1')?.id ?? 0;
      const entry = { jti: 'j', keyId, iat: 1, exp: 2, meta: null };
      const facts = { isLast: true, malformed: 0, bytes: null, details: null };
      for (const { node, matched } of total > 0 && byNode.length === 0 ? [on('a', total)] : byNode)
        await onSubjects([{ sub: node, node, entries: Array(matched).fill(entry), ...facts }]);
      return { complete, missed, nodes: [] };
    };
    return { asked, ports: service.withRegistry({ scan, removeEverywhere: async () => next(false) }) };
  };

  test('walks again after the removal, and removes entries that were added meanwhile', async () => {
    const { asked, ports } = withWalks(
      walk({ matched: 2, removed: 2, byNode: [on('a', 2, 2), on('b', 0)], replicasConfirmed: 1 }),
      walk({ matched: 1, byNode: [on('a', 0), on('b', 1)] }),
      walk({ matched: 1, removed: 1, byNode: [on('a', 0), on('b', 1, 1)], replicasConfirmed: 0 }),
      walk({ byNode: [on('a', 0), on('b', 0)] }),
    );
    const { entries } = await compromiseKey(ports, inputFor('k1'));
    expect(asked).toEqual([false, true, false, true]);
    expect(entries).toEqual({
      before: 3,
      subjects: 0,
      removed: 3,
      after: 0,
      byNode: [
        { node: 'a', before: 2, removed: 2, after: 0 },
        { node: 'b', before: 1, removed: 1, after: 0 },
      ],
      replicasConfirmed: 0,
      complete: true,
      missed: [],
    });
  });

  test('fails if the last walk was incomplete', async () => {
    const { asked, ports } = withWalks(
      walk({ complete: false, missed: ['slots 0-99 (b)'], byNode: [on('a', 2, 2), on('b', 1, 1)] }),
      walk({ complete: false, missed: ['slots 0-99 (b)'], byNode: [on('a', 0)] }),
    );
    const { entries } = await compromiseKey(ports, inputFor('k1'));
    expect(entries).toMatchObject({ after: null, complete: false, missed: ['slots 0-99 (b)'] });
    expect(entries.byNode.map(({ after }) => after)).toEqual([null, null]);
    expect(asked).toEqual([false, true]);
  });

  test('succeeds if a later pass removes what the first one missed', async () => {
    const { ports } = withWalks(
      walk({ complete: false, missed: ['slots 0-99 (b)'], matched: 1, removed: 1 }),
      walk({ matched: 4 }),
      walk({ matched: 4, removed: 4 }),
      walk({}),
    );
    const { entries } = await compromiseKey(ports, inputFor('k1'));
    expect(entries).toMatchObject({ before: 5, removed: 5, after: 0, complete: true, missed: [] });
  });

  test('gives up if entries are added faster than they are removed', async () => {
    const { asked, ports } = withWalks(...Array.from({ length: 6 }, () => walk({ matched: 1, removed: 1 })));
    expect((await compromiseKey(ports, inputFor('k1'))).entries).toMatchObject({ after: 1, complete: true });
    expect(asked).toHaveLength(6);
  });
});

test('a dry run counts, names the next active key, and changes nothing', async () => {
  await addPending('k2');
  await service.issueTo('alice');
  const before = [await states(), await rows('audit_log'), await rows('security_log')];
  expect(await compromise('k1', { dryRun: true })).toMatchObject({
    key: { kid: 'k1', state: 'active' },
    active: 'k2',
    entries: { before: 1, removed: 0, after: null, complete: true },
  });
  expect([await states(), await rows('audit_log'), await rows('security_log')]).toEqual(before);
});

test('an interruption before the first write changes nothing', async () => {
  const before = await states();
  await expect(compromise('k1', { signal: AbortSignal.abort() })).rejects.toMatchObject({
    kind: 'interrupted',
    code: 'ERR_INTERRUPTED',
    message: expect.stringMatching(/k1 is still active/),
  });
  expect(await states()).toEqual(before);
});

test('refuses an unknown kid', async () => {
  await expect(compromise('k9')).rejects.toMatchObject({ kind: 'not_found', code: 'ERR_KEY_UNKNOWN' });
});
