import { afterEach, beforeEach, expect, test } from 'vitest';
import { type KeyPlan, updateKeys } from '../../../src/domain/keys/update-keys.js';
import type { KeySnapshot } from '../../../src/domain/ports/index.js';
import { type EmbeddedService, openEmbeddedService } from '../../support/embedded-service.js';

let service: EmbeddedService;

beforeEach(async () => {
  service = await openEmbeddedService();
});
afterEach(() => service.close());

/** Demotes the active key after `disturb`, which acts as another command. */
function demoting(disturb: () => Promise<unknown>) {
  const plans: number[] = [];
  const plan = async ({ revision }: KeySnapshot): Promise<KeyPlan<string>> => {
    plans.push(revision);
    await disturb();
    return {
      changeAt: (at) => ({
        transitions: [{ kid: 'k1', from: 'active', to: 'retiring', at, verifyUntil: at + 60 }],
        reason: 'test',
        finish: () => 'demoted',
      }),
    };
  };
  return { plan, plans };
}

function raiseRevision(seconds: number) {
  return service.database.keys.raiseMaxTtl('k1', seconds);
}

async function auditRows() {
  return (await service.db.selectFrom('audit_log').selectAll().execute()).filter(
    ({ action }) => action === 'keys.test',
  );
}

test('plans again if another command changed the keys in between, and writes one audit row', async () => {
  let runs = 0;
  const { plan, plans } = demoting(async () => {
    if (++runs === 1) await raiseRevision(1000);
  });
  expect(await updateKeys(service.ports, plan, 'keys.test')).toBe('demoted');
  expect(new Set(plans).size).toBe(2);
  expect(await service.database.keys.find('k1')).toMatchObject({ state: 'retiring' });
  expect(await auditRows()).toMatchObject([{ target: 'k1', outcome: 'retiring', reason: 'test' }]);
});

test('gives up and writes nothing if the keys change each time', async () => {
  let seconds = 1000;
  const { plan } = demoting(() => raiseRevision(seconds++));
  await expect(updateKeys(service.ports, plan, 'keys.test')).rejects.toMatchObject({
    kind: 'unavailable',
    code: 'ERR_DATABASE_CONFLICT',
  });
  expect(await service.database.keys.find('k1')).toMatchObject({ state: 'active' });
  expect(await auditRows()).toEqual([]);
});
