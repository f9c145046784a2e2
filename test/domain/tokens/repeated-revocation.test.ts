import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Administration, Removal } from '../../../src/domain/ports/index.js';
import { listFamilies } from '../../../src/domain/registry/list-families.js';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { revokeSubject, revokeToken } from '../../../src/domain/tokens/revoke.js';
import { revokeSelected } from '../../../src/domain/tokens/revoke-selected.js';
import { type EmbeddedService, openEmbeddedService, POLICY } from '../../support/embedded-service.js';

const OPTIONS = { reason: null, dryRun: false };

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
  await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
  service.clock.advance(10);
});
afterEach(() => service.close());

/** The registry stops responding before it removes anything, or after it removed the families. */
function failingPorts(when: 'before' | 'after its families'): Administration {
  const fail = async (sub: string): Promise<Removal> => {
    if (when !== 'before') await service.registry.remove(sub, { familiesOnly: true }, service.clock.now());
    throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
  };
  return service.withRegistry({ remove: fail, removeEntries: () => fail('') as never });
}

type Revocation = (ports: Administration, jti: string, startedAt: number) => Promise<unknown>;

const REVOCATIONS: Array<[what: string, revoke: Revocation]> = [
  ['a token', (ports, jti) => revokeToken(ports, POLICY, { sub: 'alice', jti }, OPTIONS)],
  ['all tokens', (ports) => revokeSubject(ports, POLICY, { sub: 'alice' }, OPTIONS)],
  ['all but one', (ports) => revokeSubject(ports, POLICY, { sub: 'alice', except: 'x' }, OPTIONS)],
  [
    'tokens until a time',
    (ports, _, issuedBefore) => revokeSubject(ports, POLICY, { sub: 'alice', issuedBefore }, OPTIONS),
  ],
  [
    'tokens by meta',
    (ports) => revokeSelected(ports, POLICY, { sub: 'alice', where: { device: 'phone' } }, OPTIONS),
  ],
];

test.each(
  REVOCATIONS.flatMap(([what, revoke]) =>
    (['before', 'after its families'] as const).map((when) => ({ what, when, revoke })),
  ),
)('revoking $what again removes what the registry kept when it failed $when', async ({ revoke, when }) => {
  const issuer = service.issuer();
  const first = await issuer.issue({ sub: 'alice', refresh: true, meta: { device: 'phone' } });
  service.clock.advance(60);
  const second = await issuer.refresh({ refreshToken: String(first.refreshToken) });
  await expect(revoke(failingPorts(when), second.jti, first.iat)).rejects.toMatchObject({
    code: 'ERR_RECORDED_NOT_APPLIED',
  });
  expect(await service.verdict(second.token)).toBe('ERR_TOKEN_REVOKED');

  await revoke(service.ports, second.jti, first.iat);
  expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
  expect(await listFamilies(service.registry, 'alice', service.clock.now())).toEqual([]);
});

test('revoking tokens until a time keeps the sessions for a repetition when they could not be listed', async () => {
  const issuer = service.issuer();
  const first = await issuer.issue({ sub: 'alice', refresh: true });
  service.clock.advance(60);
  const second = await issuer.refresh({ refreshToken: String(first.refreshToken) });
  const selection = { sub: 'alice', issuedBefore: first.iat };
  const ports = service.withRegistry({
    familyPages: () => {
      throw new JwtctlError('ERR_REDIS_UNREACHABLE', 'Redis is away.');
    },
  });
  await expect(revokeSubject(ports, POLICY, selection, OPTIONS)).rejects.toMatchObject({
    code: 'ERR_RECORDED_NOT_APPLIED',
    // The event does not cover the later token.
    message: expect.not.stringContaining('verifiers apply it'),
  });

  await revokeSubject(service.ports, POLICY, selection, OPTIONS);
  expect(await service.database.securityLog.findNaming([{ sub: 'alice', jti: second.jti }])).toContainEqual(
    expect.objectContaining({ type: 'family_revoked' }),
  );
  expect(await service.verdict(second.token)).toBe('ERR_TOKEN_REVOKED');
  expect(await service.registry.list('alice', service.clock.now())).toEqual([]);
});
