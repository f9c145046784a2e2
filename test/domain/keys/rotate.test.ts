import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jwkSet } from '../../../src/domain/jose/jwk-set.js';
import { generateKeys } from '../../../src/domain/keys/generate.js';
import { type RotationInput, rotateAfterLead, rotateKeys } from '../../../src/domain/keys/rotate.js';
import type { RotationPolicy } from '../../../src/domain/keys/rotation-plan.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';
import { heartbeatOf } from '../../support/heartbeats.js';

const DAY = 86_400;
const ROTATION: RotationPolicy = {
  rotateAfterSeconds: 30 * DAY,
  publishLeadSeconds: DAY,
  maxTtlSeconds: POLICY.maxTtlSeconds,
  clockToleranceSeconds: POLICY.clockToleranceSeconds,
  isForced: false,
  keepsLead: false,
  leavesStragglers: false,
  needsFleet: false,
};

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

function rotate(policy: Partial<RotationPolicy> = {}, input: Partial<RotationInput> = {}) {
  return rotateKeys(service.ports, rotation(policy, input));
}

function rotation(policy: Partial<RotationPolicy>, input: Partial<RotationInput> = {}): RotationInput {
  return { alg: 'RS256', bits: 2048, dryRun: false, policy: { ...ROTATION, ...policy }, ...input };
}

async function kidsIn(...states: string[]): Promise<string[]> {
  const { keys } = await service.database.keys.snapshot();
  return keys.filter(({ state }) => states.includes(state)).map(({ kid }) => kid);
}

/** Returns `<state> <kid>: <reason>` for each key that a rotation changed. */
async function audited(): Promise<string[]> {
  const rows = await service.db.selectFrom('audit_log').selectAll().orderBy('seq').execute();
  return rows
    .filter(({ action }) => action === 'keys.rotate')
    .map(({ outcome, target, reason }) => `${outcome} ${target}: ${reason}`);
}

/** Issues a token with the longest lifetime, from an issuer that has just read the active key. */
async function longToken(): Promise<{ token: string; kid: string; exp: number }> {
  await service.database.users.add({ sub: 'alice', name: null, at: 0 });
  return service.issuer().issue({ sub: 'alice', ttlSeconds: POLICY.maxTtlSeconds });
}

describe('ten rotations', () => {
  test('keep every token valid until it expires, and retire every old key', async () => {
    let outcome = await rotate();
    expect(outcome).toMatchObject({ rotated: false, reason: 'published', active: 'k1' });
    const tokens = [await longToken()];
    for (let round = 1; round <= 10; round++) {
      service.clock.advance((outcome.signsFrom ?? 0) - 60 - service.clock.now());
      expect(await rotate()).toMatchObject({ rotated: false, reason: 'not_due', retired: [] });
      const last = await longToken();
      service.clock.advance(60);
      const [published] = await kidsIn('pending');
      outcome = await rotate();
      expect(outcome).toMatchObject({ rotated: true, reason: 'due', active: published, previous: last.kid });
      expect(outcome).toMatchObject({ signsFrom: service.clock.now() + 30 * DAY, isNotPrePublished: false });

      const first = await longToken();
      expect(first.kid).toBe(published);
      expect(await kidsIn('active')).toEqual([published]);
      expect(await kidsIn('retiring')).toEqual([last.kid]);
      expect(await service.verdict(last.token)).toBe('active');
      expect(await service.verdict(first.token)).toBe('active');

      // The last second of the last token under the previous key, plus the tolerance.
      service.clock.advance(last.exp + POLICY.clockToleranceSeconds - 1 - service.clock.now());
      expect((await rotate()).retired).toEqual([]);
      expect(await service.verdict(last.token)).toBe('active');
      service.clock.advance(1);
      expect(await service.verdict(last.token)).toBe('ERR_TOKEN_EXPIRED');

      service.clock.advance(120);
      expect((await rotate()).retired).toEqual([last.kid]);
      expect(await service.database.keys.findSealed(last.kid)).toBeNull();
      tokens.push(last, first);
    }
    expect(await kidsIn('retired')).toHaveLength(10);
    expect(await kidsIn('active', 'pending')).toHaveLength(2);
    service.clock.advance(DAY);
    for (const { token, kid } of tokens) {
      const isRetired = (await kidsIn('retired')).includes(kid);
      expect(await service.verdict(token)).toBe(isRetired ? 'ERR_KEY_NOT_TRUSTED' : 'ERR_TOKEN_EXPIRED');
    }
  }, 60_000);

  /** The keys whose tokens verify, the active key, and the published keys after each rotation. */
  const STORY: Array<[verifies: string, signs: string, published: string]> = [
    ['k1', 'k1', 'k1 k2'],
    ['k1 k2', 'k2', 'k1 k2 k3'],
    ['k2 k3', 'k3', 'k2 k3 k4'],
    ['k3 k4', 'k4', 'k3 k4 k5'],
    ['k4 k5', 'k5', 'k4 k5 k6'],
    ['k5 k6', 'k6', 'k5 k6 k7'],
    ['k6 k7', 'k7', 'k6 k7 k8'],
    ['k7 k8', 'k8', 'k7 k8 k9'],
    ['k8 k9', 'k9', 'k8 k9 k10'],
    ['k9 k10', 'k10', 'k9 k10 k11'],
    ['k10 k11', 'k11', 'k10 k11 k12'],
  ];

  test('verify, sign, and publish the keys of the table', async () => {
    const tokens: string[] = [];
    const seen: typeof STORY = [];
    await rotate();
    for (const round of STORY.keys()) {
      if (round > 0) {
        service.clock.advance(30 * DAY - 1);
        // One second before the rotation.
        tokens.push((await longToken()).token);
        service.clock.advance(1);
        expect(await rotate()).toMatchObject({ rotated: true, reason: 'due' });
      }
      const { token, kid } = await longToken();
      const { keys } = await service.database.keys.snapshot();
      const names = new Map(keys.map((key, index) => [key.kid, `k${index + 1}`]));
      const nameOf = (name: string) => names.get(name) ?? '?';
      const verifying = new Set<string>();
      for (const one of [...tokens, token]) {
        const verdict = await service.verify(one);
        if (verdict.active) verifying.add(nameOf(String(verdict.header.kid)));
      }
      seen.push([
        [...verifying].join(' '),
        nameOf(kid),
        jwkSet(keys)
          .keys.map((jwk) => nameOf(jwk.kid))
          .join(' '),
      ]);
    }
    expect(seen).toEqual(STORY);
  }, 60_000);

  test('accept until its expiry a token signed with a cached key', async () => {
    await rotate();
    await service.database.users.add({ sub: 'alice', name: null, at: 0 });
    const issuer = service.issuer();
    await issuer.issue({ sub: 'alice' });
    await rotate({ isForced: true });
    service.clock.advance(29);
    const { token, kid, exp } = await issuer.issue({ sub: 'alice', ttlSeconds: POLICY.maxTtlSeconds });
    expect(kid).toBe('k1');
    service.clock.advance(exp + POLICY.clockToleranceSeconds - 1 - service.clock.now());
    await rotate();
    expect(await service.verdict(token)).toBe('active');
  });
});

describe('rotate', () => {
  test('refuses an empty key store', async () => {
    await service.db.deleteFrom('keystore').execute();
    await expect(rotate()).rejects.toMatchObject({ kind: 'state', code: 'ERR_NO_KEYS' });
  });

  test('waits for the publish lead when due, and reports until when', async () => {
    service.clock.advance(30 * DAY);
    const publishedAt = service.clock.now();
    expect(await rotate()).toMatchObject({ reason: 'published', signsFrom: publishedAt + DAY });
    service.clock.advance(DAY - 1);
    expect(await rotate()).toMatchObject({ rotated: false, reason: 'waiting', signsFrom: publishedAt + DAY });
    service.clock.advance(1);
    expect(await rotate()).toMatchObject({ rotated: true, reason: 'due' });
  });

  test('writes nothing if nothing is due', async () => {
    await rotate();
    const before = await service.database.keys.snapshot();
    const rows = await audited();
    expect(await rotate()).toMatchObject({ rotated: false, reason: 'not_due' });
    expect(await service.database.keys.snapshot()).toEqual(before);
    expect(await audited()).toEqual(rows);
  });

  test('records each changed key and its new state in the audit log', async () => {
    const { pending } = await rotate();
    const { active, pending: next } = await rotate({ isForced: true });
    expect(active).toBe(pending);
    expect(await audited()).toEqual([
      `pending ${pending}: published`,
      'retiring k1: forced',
      `active ${active}: forced`,
      `pending ${next}: forced`,
    ]);
  });

  test('counts from the moment of the demotion, however long key generation takes', async () => {
    const slow = {
      generate: async (bits: number) => {
        service.clock.advance(21);
        return service.ports.generator.generate(bits);
      },
    };
    const options = {
      policy: { ...ROTATION, isForced: true },
      alg: 'RS256',
      bits: 2048,
      dryRun: false,
    } as const;
    await rotateKeys({ ...service.ports, generator: slow }, options);
    const { keys } = await service.database.keys.snapshot();
    const old = keys.find(({ kid }) => kid === 'k1');
    expect(old?.retiringAt).toBe(service.clock.now());
    expect(old?.verifyUntil).toBe(
      service.clock.now() + 60 + ROTATION.maxTtlSeconds + ROTATION.clockToleranceSeconds,
    );
  });

  test('retires many keys in one run', async () => {
    const { keys } = service.database;
    const { publicKey } = await service.ports.generator.generate(2048);
    for (let index = 0; index < 30; index++) {
      await keys.insert({
        id: index,
        kid: `${'k'.repeat(43)}-${index}`,
        ...{
          alg: 'RS256',
          bits: 2048,
          state: 'pending',
          publicKey,
          sealedPrivateKey: 'x',
          masterKeyId: 'mk',
        },
        ...{ maxTtlSeconds: null, createdAt: 1, activatedAt: null },
      });
    }
    const ended = { state: 'retiring', retiring_at: 1, verify_until: 2 } as const;
    await service.db.updateTable('keystore').set(ended).where('state', '=', 'pending').execute();
    expect((await rotate()).retired).toHaveLength(30);
    expect(await kidsIn('retired')).toHaveLength(30);
  });

  test('reports the current keys and no change of its own after a lost race', async () => {
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => rotate({ isForced: true })));
    const [active] = await kidsIn('active');
    const losers = outcomes.filter(({ reason }) => reason === 'lost_race');
    expect(losers.length).toBeGreaterThan(0);
    for (const { rotated, previous, retired } of losers) {
      expect({ rotated, previous, retired }).toEqual({ rotated: false, previous: null, retired: [] });
    }
    expect(losers.at(-1)?.active).toBe(active);
    expect(await kidsIn('pending')).toContain(losers.at(-1)?.pending);
  });

  test('shows the plan in a dry run and changes nothing', async () => {
    const before = await service.database.keys.snapshot();
    expect(await rotate({ isForced: true }, { dryRun: true })).toMatchObject({
      rotated: true,
      reason: 'forced',
      active: null,
      previous: 'k1',
    });
    expect(await service.database.keys.snapshot()).toEqual(before);
    expect(await audited()).toEqual([]);
  });

  test('generates an active and a pending key when forced without a pending key', async () => {
    const outcome = await rotate({ isForced: true });
    expect(outcome).toMatchObject({ rotated: true, previous: 'k1', isNotPrePublished: true });
    expect(await kidsIn('active')).toEqual([outcome.active]);
    expect(await kidsIn('pending')).toEqual([outcome.pending]);
    expect(await kidsIn('retiring')).toEqual(['k1']);
    expect((await longToken()).kid).toBe(outcome.active);
  });

  test('activates a key if none is active', async () => {
    await service.db.updateTable('keystore').set({ state: 'compromised' }).execute();
    const outcome = await rotate();
    expect(outcome).toMatchObject({ rotated: true, reason: 'due', previous: null });
    expect(await kidsIn('active')).toEqual([outcome.active]);
  });

  test('changes no key if the audit row cannot be written', async () => {
    await service.db.schema.dropTable('audit_head').execute();
    const before = await service.database.keys.snapshot();
    await expect(rotate({ isForced: true })).rejects.toThrow();
    expect(await service.database.keys.snapshot()).toEqual(before);
  });
});

describe('rotateAfterLead', () => {
  const now = { isForced: true, keepsLead: true };

  test('publishes a key, waits for the lead, and activates it', async () => {
    const waited: number[] = [];
    const outcome = await rotateAfterLead(service.ports, rotation(now), async ({ signsFrom, pending }) => {
      expect(await kidsIn('pending')).toEqual([pending]);
      expect(await kidsIn('active')).toEqual(['k1']);
      waited.push(signsFrom);
      service.clock.advance(signsFrom - service.clock.now());
    });
    expect(waited).toEqual([service.clock.now()]);
    expect(outcome).toMatchObject({
      rotated: true,
      reason: 'forced',
      previous: 'k1',
      isNotPrePublished: false,
    });
    expect(await kidsIn('active')).toEqual([outcome.active]);
    expect(await kidsIn('pending')).toEqual([outcome.pending]);
  });

  test('waits again if the clock was set back meanwhile', async () => {
    let waits = 0;
    await rotateAfterLead(service.ports, rotation(now), async () => {
      waits += 1;
      service.clock.advance(DAY / 2);
    });
    expect(waits).toBe(2);
  });

  test('activates a new key if both keys were compromised meanwhile', async () => {
    const outcome = await rotateAfterLead(service.ports, rotation(now), async ({ signsFrom }) => {
      service.clock.advance(signsFrom - service.clock.now());
      await service.db.updateTable('keystore').set({ state: 'compromised' }).execute();
      await service.db
        .updateTable('keystore_revision')
        .set((row) => ({ revision: row('revision', '+', 1) }))
        .execute();
    });
    expect(outcome).toMatchObject({ rotated: true, previous: null });
    expect(await kidsIn('active')).toEqual([outcome.active]);
  });

  test('does not rotate a second time after another run', async () => {
    const outcome = await rotateAfterLead(service.ports, rotation(now), async ({ signsFrom }) => {
      service.clock.advance(signsFrom - service.clock.now());
      await rotate({ isForced: true });
    });
    expect(outcome).toMatchObject({ rotated: false, reason: 'lost_race' });
    expect(await kidsIn('active', 'retiring')).toEqual(['k1', outcome.active]);
  });

  test('reports the keys that it retired before it waited', async () => {
    await rotate({ isForced: true });
    service.clock.advance(POLICY.maxTtlSeconds + 100);
    const outcome = await rotateAfterLead(
      service.ports,
      rotation({ ...now, publishLeadSeconds: 3 * DAY }),
      async ({ signsFrom }) => service.clock.advance(signsFrom - service.clock.now()),
    );
    expect(outcome).toMatchObject({ rotated: true, retired: ['k1'] });
  });

  test('does not wait if no rotation is due, or in a dry run', async () => {
    const never = () => Promise.reject(new Error('waited'));
    expect(await rotateAfterLead(service.ports, rotation({}), never)).toMatchObject({ reason: 'published' });
    const input = rotation(now, { dryRun: true });
    expect(await rotateAfterLead(service.ports, input, never)).toMatchObject({ reason: 'waiting' });
  });
});

describe('8 concurrent runs', () => {
  const EIGHT = Array.from({ length: 8 });

  test.each([
    { name: 'that are forced', policy: { isForced: true }, wait: 0 },
    { name: 'that are due', policy: {}, wait: 30 * DAY },
  ])('$name: one run rotates, and the others report a lost race', async ({ policy, wait }) => {
    await rotate();
    service.clock.advance(wait);
    const outcomes = await Promise.all(EIGHT.map(() => rotate(policy)));
    const [winner, ...others] = outcomes.filter(({ rotated }) => rotated);
    expect(others).toEqual([]);
    expect(outcomes.filter(({ reason }) => reason === 'lost_race')).toHaveLength(7);
    for (const outcome of outcomes) expect(outcome.active).toBe(winner?.active);
    expect(await kidsIn('active')).toEqual([winner?.active]);
    expect(await kidsIn('pending')).toEqual([winner?.pending]);
    expect(await kidsIn('retiring')).toEqual(['k1']);
  });

  test.each([false, true])('activate one key if none is active (forced: %s)', async (isForced) => {
    await service.db.updateTable('keystore').set({ state: 'compromised' }).execute();
    const outcomes = await Promise.all(EIGHT.map(() => rotate({ isForced })));
    expect(outcomes.filter(({ rotated }) => rotated)).toHaveLength(1);
    expect(await kidsIn('active')).toHaveLength(1);
    expect(await kidsIn('pending')).toHaveLength(1);
    expect(await kidsIn('retiring')).toEqual([]);
  });

  test('publish one key', async () => {
    const outcomes = await Promise.all(EIGHT.map(() => rotate()));
    expect(outcomes.filter(({ reason }) => reason === 'published')).toHaveLength(1);
    expect(outcomes.filter(({ reason }) => reason === 'not_due')).toHaveLength(7);
    expect(await kidsIn('pending')).toHaveLength(1);
  });

  test('generate one active key in an empty store, and pending ones', async () => {
    await service.db.deleteFrom('keystore').execute();
    const input = { alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: 60 } as const;
    const made = await Promise.all(EIGHT.map(() => generateKeys(service.ports, input)));
    expect(made.flat().filter(({ state }) => state === 'active')).toHaveLength(1);
    expect(await kidsIn('active')).toHaveLength(1);
    expect(await kidsIn('pending')).toHaveLength(7);
  });
});

describe('rotate with running verifiers', () => {
  const behind = (kids: string[] = []) => heartbeatOf('behind', service.clock.now(), { kids });

  beforeEach(async () => {
    await rotate();
    service.clock.advance(30 * DAY);
  });

  test('rotates after all of them have loaded the next key', async () => {
    const [next] = await kidsIn('pending');
    await service.registry.report(behind(['k1']));
    const waiting = { rotated: false, reason: 'waiting', active: 'k1', pending: next, awaitsFleet: true };
    expect(await rotate()).toMatchObject({ ...waiting, stragglers: [{ id: 'behind', host: 'host-behind' }] });
    expect(await kidsIn('active')).toEqual(['k1']);
    await service.registry.report(behind(['k1', String(next)]));
    expect(await rotate()).toMatchObject({ rotated: true, active: next, stragglers: [] });
  });

  test('rotates after the heartbeat of a straggler expires', async () => {
    await service.registry.report(behind());
    expect(await rotate()).toMatchObject({ rotated: false, awaitsFleet: true });
    service.clock.advance(10 + POLICY.clockToleranceSeconds);
    expect(await rotate()).toMatchObject({ rotated: true, stragglers: [] });
  });

  test('rotates and names the stragglers if it leaves them', async () => {
    await service.registry.report(behind());
    expect(await rotate({ leavesStragglers: true })).toMatchObject({
      ...{ rotated: true, reason: 'due', stragglers: [{ id: 'behind' }], fleetUnavailableReason: null },
    });
  });

  test('rotates and reports why if the fleet cannot be asked', async () => {
    const ports = service.withRegistry({
      fleet: async () => {
        throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'It is away.');
      },
    });
    const outcome = await rotateKeys(ports, rotation({}));
    expect(outcome).toMatchObject({ rotated: true, stragglers: [], fleetUnavailableReason: 'It is away.' });
  });

  test('does not ask the fleet if no rotation is due', async () => {
    const openRegistry = () => Promise.reject(new Error('opened'));
    const ports = { ...service.ports, openRegistry };
    const outcome = await rotateKeys(ports, rotation({ rotateAfterSeconds: 60 * DAY }));
    expect(outcome).toMatchObject({ reason: 'not_due', fleetUnavailableReason: null });
  });

  test('asks again while it waits, until they have loaded the key', async () => {
    await service.registry.report(behind());
    const [next] = await kidsIn('pending');
    let looks = 0;
    const outcome = await rotateAfterLead(service.ports, rotation({}), async ({ stragglers }) => {
      expect(stragglers).toMatchObject([{ id: 'behind' }]);
      service.clock.advance(1);
      looks += 1;
      await service.registry.report(behind(looks < 3 ? [] : [String(next)]));
    });
    expect({ looks, outcome }).toMatchObject({ looks: 3, outcome: { rotated: true, stragglers: [] } });
  });

  test('asks again after a failure of the registry, and does not treat it as an empty fleet', async () => {
    const [next] = await kidsIn('pending');
    const looks: string[] = [];
    const ports = service.withRegistry({
      fleet: async (now) => {
        looks.push('look');
        if (looks.length <= 2) throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'It is away.');
        return service.registry.fleet(now);
      },
    });
    await service.registry.report(behind());
    const outcome = await rotateAfterLead(ports, rotation({ needsFleet: true }), async ({ stragglers }) => {
      expect(await kidsIn('active')).toEqual(['k1']);
      service.clock.advance(1);
      if (stragglers.length > 0) await service.registry.report(behind([String(next)]));
    });
    expect(outcome).toMatchObject({
      rotated: true,
      active: next,
      stragglers: [],
      fleetUnavailableReason: null,
    });
    expect(looks).toHaveLength(4);
  });

  test('fails without rotating if the fleet cannot be asked until the limit', async () => {
    const ports = service.withRegistry({
      fleet: () => Promise.reject(new JwtctlError('ERR_REDIS_UNREACHABLE', 'It is away.')),
    });
    const startedAt = service.clock.now();
    const input = { ...rotation({ needsFleet: true }), fleetSeconds: 30 };
    const wait = rotateAfterLead(ports, input, async () => service.clock.advance(1));
    await expect(wait).rejects.toMatchObject({ kind: 'unavailable', code: 'ERR_FLEET_UNAVAILABLE' });
    expect(service.clock.now() - startedAt).toBe(30);
    expect(await kidsIn('active')).toEqual(['k1']);
  });

  test('stops waiting after the length of the lead, and changes nothing', async () => {
    const startedAt = service.clock.now();
    await service.registry.report(behind());
    const outcome = await rotateAfterLead(service.ports, rotation({}), async () => {
      service.clock.advance(DAY / 4);
      await service.registry.report(behind());
    });
    expect(outcome).toMatchObject({ rotated: false, reason: 'waiting', stragglers: [{ id: 'behind' }] });
    expect(service.clock.now() - startedAt).toBe(DAY);
    expect(await kidsIn('active')).toEqual(['k1']);
  });
});
