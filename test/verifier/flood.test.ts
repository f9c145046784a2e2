import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { inBackground, openContext } from '../support/opened-context.js';
import { openStores, type Stores } from '../support/stores.js';

const ROUNDS = 20;
const AT_ONCE = 500;
/** About 1 % of the tokens that are sent. */
const MAX_GROWTH_BYTES = 8 * 2 ** 20;

let stores: Stores;
let verifier: LiveVerifier;
let close: () => Promise<void>;

beforeAll(async () => {
  stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  const context = await openContext({ ...stores, clock: inBackground(stores.clock) });
  verifier = await openLiveVerifier(context, { nearCache: true });
  close = async () => {
    await verifier.close();
    await context.dispose();
    await stores.close();
  };
});
afterAll(() => close());

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function heapAfter(flood: () => Promise<unknown>): Promise<number> {
  await flood();
  collect();
  return process.memoryUsage().heapUsed;
}

const encode = (text: string) => Buffer.from(text).toString('base64url');

test('refuses many huge, malformed, and deeply nested tokens, with constant memory', async () => {
  const { token, kid } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const nested = encode(`${'['.repeat(5000)}${']'.repeat(5000)}`);
  const headerWith = (parts: object) => encode(JSON.stringify({ alg: 'RS256', kid, ...parts }));
  const shapes: Array<() => string> = [
    () => randomBytes(6000).toString('base64url'),
    () => 'x'.repeat(1_000_000),
    () => '.'.repeat(16_000),
    () => `${header}.${nested}.${signature}`,
    () =>
      `${encode(`{"kid":"${kid}","alg":"RS256","x":${'['.repeat(2000)}${']'.repeat(2000)}}`)}.${payload}.${signature}`,
    () =>
      `${encode(`{"kid":"${kid}","alg":"RS256","x":${'['.repeat(4500)}${']'.repeat(4500)}}`)}.${payload}.${signature}`,
    () => `${encode(`{"a":${'['.repeat(5900)}${']'.repeat(5900)}}`)}.${payload}.${signature}`,
    () => `${headerWith({ n: randomBytes(2000).toString('hex') })}.${payload}.${signature}`,
    () => `${header}.${encode(JSON.stringify({ sub: randomBytes(4000).toString('hex') }))}.${signature}`,
    () => `${header}.${payload}.${randomBytes(256).toString('base64url')}`,
  ];
  const flood = async () => {
    const results = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) =>
        verifier.verify((shapes[index % shapes.length] as () => string)()),
      ),
    );
    expect(results.filter(({ active }) => active)).toEqual([]);
  };
  const before = await heapAfter(flood);
  for (let round = 1; round < ROUNDS; round++) await flood();
  expect((await heapAfter(flood)) - before).toBeLessThan(MAX_GROWTH_BYTES);
  expect(verifier.health().signatures.entries).toBe(0);
  expect((await verifier.verify(token)).active).toBe(true);
}, 60_000);
