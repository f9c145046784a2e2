import { CLOCK_TOLERANCE_SECONDS, openEmbeddedStores } from '../support/embedded.js';
import { tokenRegistryContract } from './token-registry.contract.js';

tokenRegistryContract('SQLite', async () => {
  const { registry, close } = await openEmbeddedStores();
  return { registry, now: () => 1_700_000_000, clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS, close };
});
