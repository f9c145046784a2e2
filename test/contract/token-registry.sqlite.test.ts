import { CLOCK_TOLERANCE_SECONDS, openEmbeddedStores } from '../support/embedded.js';
import { fleetContract } from './fleet.contract.js';
import { type OpenedRegistry, tokenRegistryContract } from './token-registry.contract.js';

tokenRegistryContract('SQLite', open);
fleetContract('SQLite', open);

async function open(): Promise<OpenedRegistry> {
  const { registry, close } = await openEmbeddedStores();
  return { registry, now: () => 1_700_000_000, clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS, close };
}
