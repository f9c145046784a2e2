import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import { createContext } from '../../src/app/create-context.js';
import { loadConfig } from '../../src/config/load-config.js';
import { openStores, type Stores } from '../support/stores.js';

describe('a host whose clock differs from those of MySQL and Redis', () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openStores('MariaDB and a Redis Cluster');
    await stores.json('keys', 'generate');
  });
  afterAll(() => stores?.close());

  /** Opens both stores on a host with this clock, and returns the warnings. */
  async function cautions(offsetSeconds: number): Promise<string[]> {
    const { settings } = await loadConfig({ env: stores.env, cwd: stores.home });
    const said: string[] = [];
    const silent = () => {};
    const context = createContext({
      ...{ settings, clock: systemClock, actor: 'the test', notice: silent, warn: silent, trace: silent },
      hostClock: { now: () => systemClock.now() + offsetSeconds },
      caution: (text) => said.push(text),
    });
    await context.database();
    await (await context.registry()).nodes();
    await context.dispose();
    return said.sort((a, b) => Number(a.includes('Redis')) - Number(b.includes('Redis')));
  }

  test.each([
    { offset: 120, says: 'ahead of' },
    { offset: -120, says: 'behind' },
  ])('warns when it connects: $offset s', async ({ offset, says }) => {
    const text = `^The clock of this host is (2m|1m5\\ds|2m1s) ${says} the clock of`;
    expect(await cautions(offset)).toEqual([
      expect.stringMatching(new RegExp(`${text} MySQL, more than token.clockTolerance \\(5 s\\)`)),
      expect.stringMatching(new RegExp(`${text} Redis, more than token.clockTolerance \\(5 s\\)`)),
    ]);
  });

  test('does not warn within the tolerance', async () => {
    expect(await cautions(0)).toEqual([]);
    expect(await cautions(4)).toEqual([]);
    expect(await cautions(-4)).toEqual([]);
  });

  test('drops no token that is valid by the clock of Redis', async () => {
    const issue = ['token', 'issue', '--sub', 'alice', '--create-user'];
    const { token } = await stores.json(...issue, '--ttl', '60s');
    stores.clock.advance(120);
    await stores.json('cache', 'reconcile');
    await stores.json(...issue);
    await stores.json('token', 'revoke', '--sub', 'alice', '--jti', 'another');
    stores.clock.advance(-120);
    expect(await stores.json('token', 'verify', token)).toMatchObject({ active: true });
  });
});
