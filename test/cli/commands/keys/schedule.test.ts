import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

const DAY = 86_400;

describe.each(BACKENDS)('keys list, on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    for (const kid of ['k1', 'k2', 'k3', 'k4']) await stores.json('keys', 'generate', '--kid', kid);
  });
  afterEach(() => stores?.close());

  const signs = async () =>
    (await stores.run('keys', 'list')).lines().map((line) => line.split(/ {2,}/)[2] ?? '');
  const dateIn = (days: number) =>
    new Date((stores.clock.now() + days * DAY) * 1000).toISOString().slice(0, 10);

  test('shows for each pending key when it will sign, so that they differ', async () => {
    const [title, active, ...pending] = await signs();
    expect([title, active]).toEqual(['SIGNS', 'now']);
    expect(pending[0]).toMatch(/^next, in (30d|29d23h)$/);
    expect(pending.slice(1)).toEqual([`2nd, not before ${dateIn(60)}`, `3rd, not before ${dateIn(90)}`]);
  });

  test('agrees with the time that keys rotate reports', async () => {
    const { signsFrom } = await stores.json('keys', 'rotate');
    const [k1, k2, k3] = await stores.json('keys', 'list');
    expect([k1, k2]).toMatchObject([{ signsFrom: null }, { signsFrom }]);
    expect(k3).toMatchObject({ signsFrom: signsFrom + 30 * DAY });
    const [only] = await stores.json('keys', 'list', '--state', 'pending');
    expect(only).toMatchObject({ kid: 'k2', signsFrom });

    stores.clock.advance(31 * DAY);
    expect((await signs())[2]).toBe('next, at the next run');
    expect(await stores.json('keys', 'rotate')).toMatchObject({ reason: 'due', active: 'k2' });
  });
});
