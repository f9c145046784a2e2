import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import { openContext } from '../support/opened-context.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
});
afterAll(() => stores?.close());

test.each(['database', 'registry'] as const)(
  'a %s that is still opening at the end is closed',
  async (store) => {
    const context = await openContext({ ...stores, clock: systemClock });
    const opening = context[store]();
    await context.dispose();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  },
);
