import { expect, test } from 'vitest';
import { CLOCK_TOLERANCE_SECONDS, openEmbeddedStores } from '../support/embedded.js';
import { heartbeatOf } from '../support/heartbeats.js';
import { familyContract } from './family-store.contract.js';
import { lastSeenContract } from './last-seen.contract.js';
import { type OpenedRegistry, tokenRegistryContract } from './token-registry.contract.js';
import { fleetContract } from './verifier-roster.contract.js';

tokenRegistryContract('SQLite', open);
fleetContract('SQLite', open);
familyContract('SQLite', open);
lastSeenContract('SQLite', async () => {
  const { registry, recording, close } = await openEmbeddedStores();
  return { plain: registry, registry: recording, now: () => 1_700_000_000, close };
});

async function open(): Promise<OpenedRegistry> {
  const { registry, close } = await openEmbeddedStores();
  const now = () => 1_700_000_000;
  return { registry, now, clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS, until: async () => {}, close };
}

test('a heartbeat in the file expires by the caller’s clock', async () => {
  const { registry, now, clockToleranceSeconds, close } = await open();
  await registry.report(heartbeatOf('a', now()));
  const ids = async (at: number) => (await registry.fleet(at)).verifiers.map(({ id }) => id);
  const end = now() + 10 + clockToleranceSeconds;
  expect(await ids(end - 1)).toEqual(['a']);
  expect(await ids(end)).toEqual([]);
  await close();
});
