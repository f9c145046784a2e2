import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStores, type Stores } from '../../../support/stores.js';

let stores: Stores;
beforeEach(async () => {
  stores = await openStores('SQLite');
  await stores.json('keys', 'generate', '--kid', 'k1');
});
afterEach(() => stores?.close());

const rotate = async (...flags: string[]) => (await stores.run('keys', 'rotate', ...flags)).stdout;
const pending = async () => (await stores.run('keys', 'list', '--state', 'pending', '-q')).lines()[0];
const dateAfter = (seconds: number) =>
  new Date((stores.clock.now() + seconds) * 1000).toISOString().replace('.000Z', 'Z');

test('keys rotate says in sentences what it did and what follows', async () => {
  expect(await rotate('--dry-run')).toBe('Would publish a new key.\n');
  const published = await rotate();
  const k2 = await pending();
  expect(published).toBe(
    `Published key ${k2}; it will sign from ${dateAfter(30 * 86_400)} (in 30d).\nNothing else to do.\n`,
  );
  expect(await rotate()).toBe(
    `Not due: key k1 keeps signing.\nNext is key ${k2}; it will sign from ${dateAfter(30 * 86_400)} (in 30d). Nothing to do.\n`,
  );

  stores.clock.advance(30 * 86_400);
  expect(await rotate('--dry-run')).toContain(
    `Would rotate: key ${k2} would sign now, in place of key k1.\n`,
  );
  const rotated = await rotate();
  expect(rotated).toBe(
    `Rotated: key ${k2} signs now, in place of key k1.\nNext is key ${await pending()}; it will sign from ${dateAfter(30 * 86_400)} (in 30d). Nothing else to do.\nPrograms that read the JWK Set were not checked, because keys.publishUrl is not set.\n`,
  );

  const k3 = await pending();
  stores.clock.advance(2 * 86_400);
  expect(await rotate('--now')).toMatch(
    new RegExp(
      `^Rotated: key ${k3} signs now, in place of key ${k2}, as requested with --now\\.\\nNext is key .*\\nRetired, because no live token can use it: key k1\\.\\n`,
    ),
  );
});

test('keys rotate says what it waits for', async () => {
  stores.clock.advance(31 * 86_400);
  const published = await rotate();
  const next = await pending();
  expect(published).toContain(`Published key ${next}; it will sign from ${dateAfter(600)} (in 10m).`);
  expect(await rotate()).toBe(
    `Waiting: key k1 keeps signing, because key ${next} has not been published for long enough; it can sign from ${dateAfter(600)} (in 10m).\nRun \`jwtctl keys rotate\` again later.\n`,
  );
});
