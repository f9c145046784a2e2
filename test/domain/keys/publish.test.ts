import { afterEach, beforeEach, expect, test } from 'vitest';
import { publishJwkSet } from '../../../src/domain/keys/publish.js';
import { openContext } from '../../support/opened-context.js';
import { openStores, type Stores } from '../../support/stores.js';

let stores: Stores;

beforeEach(async () => {
  stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
});
afterEach(() => stores?.close());

test('a file that another installation replaces each time is not reported as published', async () => {
  const context = await openContext(stores);
  try {
    const database = await context.database();
    const file = { path: '/jwks.json', read: async () => '{"keys":[]}', replace: async () => {} };
    await expect(publishJwkSet({ database, file }, { dryRun: false })).rejects.toMatchObject({
      ...{ kind: 'state', code: 'ERR_FILE_REPLACED', message: expect.stringContaining('/jwks.json') },
    });
  } finally {
    await context.dispose();
  }
});
