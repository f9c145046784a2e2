import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Registration, RegistrationOutcome, TokenRegistry } from '../../../src/domain/ports/index.js';
import { RegistrationPlan } from '../../../src/domain/registry/registration-plan.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { IDLE_TIMEOUT_SECONDS } from '../../support/embedded.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';

const FAMILY = 'a'.repeat(22);
const REFUSING = { maxPerSubject: 2, onLimit: 'refuse' } as const;

let service: EmbeddedService;
let now: number;

beforeEach(async () => {
  service = await openEmbeddedService();
  now = service.clock.now();
});
afterEach(() => service.close());

function registrations(jtis: readonly string[], limit: Partial<Registration>, sub = 'alice'): Registration[] {
  return jtis.map((jti) => ({ sub, entry: { jti, keyId: 1, iat: now, exp: now + 60 }, now, ...limit }));
}

function codesOf(outcomes: readonly RegistrationOutcome[]): string[] {
  return outcomes.map((outcome) => (outcome instanceof JwtctlError ? outcome.code : outcome));
}

test.each([
  ['without a limit', {}],
  ['with a limit that evicts', { maxPerSubject: 2 }],
  ['with a limit that refuses', REFUSING],
])('returns what the registration returns, and adds nothing, %s', async (_situation, limit) => {
  const jtis = [`${FAMILY}.1`, 'a', 'b', `${FAMILY}.2`, 'c'];
  await service.registry.registerMany(registrations([`${FAMILY}.0`, `${FAMILY}.1`], {}));
  const before = await service.registry.list('alice', now);
  const planned = await new RegistrationPlan(service.registry).predictMany(registrations(jtis, limit));
  expect(await service.registry.list('alice', now)).toEqual(before);
  const registered = await service.registry.registerMany(registrations(jtis, limit));
  expect(codesOf(planned)).toEqual(codesOf(registered));
});

test.each([
  ['without a limit', {}],
  ['with a limit that refuses', REFUSING],
])('predicts that an entry is added once, and is known after that, %s', async (_situation, limit) => {
  const jtis = ['a', 'a', 'b', 'b', 'a'];
  const plan = new RegistrationPlan(service.registry);
  const predicted = [
    ...(await plan.predictMany(registrations(jtis, limit))),
    ...(await plan.predictMany(registrations(['a'], limit))),
  ];
  const registered = await service.registry.registerMany(registrations([...jtis, 'a'], limit));
  expect(predicted).toEqual(registered);
  expect(predicted).toEqual(['added', 'known', 'added', 'known', 'known', 'known']);
});

test('does not count idle tokens, which a registration removes first', async () => {
  const { recording } = service;
  const lasting = { entry: { jti: 'c', keyId: 1, iat: now, exp: now + 10_000 } };
  const [a, b] = registrations(['a', 'b'], {}).map((one) => ({
    ...one,
    entry: { ...one.entry, exp: now + 10_000 },
  }));
  await recording.registerMany([a, b].filter((one) => one !== undefined));
  const later = { sub: 'alice', now: now + IDLE_TIMEOUT_SECONDS, ...lasting, ...REFUSING };
  expect(await new RegistrationPlan(recording).predictMany([later])).toEqual(['added']);
  expect(await recording.registerMany([later])).toEqual(['added']);
});

test('lists the tokens of each subject once', async () => {
  let lists = 0;
  const { registry } = service.withRegistry({
    list: (...args) => {
      lists += 1;
      return service.registry.list(...args);
    },
  });
  const plan = new RegistrationPlan(registry);
  for (const sub of ['alice', 'bob']) await plan.predictMany(registrations(['a', 'b', 'c'], REFUSING, sub));
  await plan.predictMany(registrations(['d'], REFUSING));
  expect(lists).toBe(2);
});

test('counts what it planned before, each subject for itself', async () => {
  const plan = new RegistrationPlan(service.registry);
  expect(codesOf(await plan.predictMany(registrations(['a', 'b'], REFUSING)))).toEqual(['added', 'added']);
  expect(codesOf(await plan.predictMany(registrations(['c'], REFUSING)))).toEqual(['ERR_TOKEN_LIMIT']);
  expect(codesOf(await plan.predictMany(registrations(['c'], REFUSING, 'bob')))).toEqual(['added']);
});

test('returns the failure of an entry, and fails if no entry could be read', async () => {
  const away = new JwtctlError('ERR_REDIS_UNREACHABLE', 'It did not answer.');
  const failing = (isAway: (sub: string) => boolean): TokenRegistry =>
    service.withRegistry({
      tokenStatus: (sub, ...rest) =>
        isAway(sub) ? Promise.reject(away) : service.registry.tokenStatus(sub, ...rest),
    }).registry;
  const both = [...registrations(['a'], {}), ...registrations(['a'], {}, 'bob')];
  const plan = new RegistrationPlan(failing((sub) => sub === 'bob'));
  expect(await plan.predictMany(both)).toEqual(['added', away]);
  await expect(new RegistrationPlan(failing(() => true)).predictMany(both)).rejects.toBe(away);
});
