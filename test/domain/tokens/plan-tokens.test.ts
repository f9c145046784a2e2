import { afterEach, beforeEach, expect, test } from 'vitest';
import { JwtctlError } from '../../../src/domain/shared/errors.js';
import { type PlannerPorts, TokenPlanner } from '../../../src/domain/tokens/plan-tokens.js';
import {
  type EmbeddedService,
  openEmbeddedService,
  POLICY,
  SIGNING,
} from '../../support/embedded-service.js';

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
  await service.database.users.add({ sub: 'alice', name: null, at: service.clock.now() });
});
afterEach(() => service.close());

test('a plan fails as issuing would if the private key does not open or the database is behind', async () => {
  const planner = (ports: Partial<PlannerPorts>) =>
    new TokenPlanner({ ...service.ports, users: service.database.users, ...SIGNING, ...ports }, POLICY);
  const plan = (ports: Partial<PlannerPorts>) =>
    planner(ports).plan([{ index: 0, request: { sub: 'alice' } }], []);
  const behind = new JwtctlError('ERR_DATABASE_BEHIND', 'Behind.');
  await expect(plan({ guard: { assertCurrent: () => Promise.reject(behind) } })).rejects.toBe(behind);
  const sealed = new JwtctlError('ERR_MASTER_KEY_UNKNOWN', 'Not here.');
  const sealer = Object.assign(Object.create(service.ports.sealer), { open: () => Promise.reject(sealed) });
  await expect(plan({ sealer })).rejects.toBe(sealed);
  await expect(plan({})).resolves.toBeUndefined();
});

test('a plan refuses a token that a revocation would cover for long', async () => {
  const at = service.clock.now() + 60;
  await service.database.securityLog.append({
    ...{ type: 'subject_revoked', sub: 'alice', issuedBefore: at, reason: null, at },
    expiresAt: at + 9_999,
  });
  const code = 'ERR_REVOCATION_IN_FUTURE';
  await expect(service.issuer().plan({ sub: 'alice' })).rejects.toMatchObject({ code });
  await expect(service.issuer().issue({ sub: 'alice' })).rejects.toMatchObject({ code });
});
