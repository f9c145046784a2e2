import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyIds } from '../support/planted-entries.js';
import { planting } from '../support/planting.js';
import { openStores, type Stores } from '../support/stores.js';

const USERS = 20_000;
const TOKENS = 10_000;

let stores: Stores;
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  const { kid } = await stores.json('keys', 'generate');
  const users = Array.from({ length: USERS }, (_, number) => `user-${number},Name of user ${number}\n`);
  await stores.json('users', 'import', '-', '--format', 'csv', { stdin: `sub,name\n${users.join('')}` });
  const { plantEntry } = planting(stores);
  const keyId = (await keyIds(stores))[kid] ?? 0;
  const iat = stores.clock.now();
  const entries = Array.from({ length: TOKENS }, (_, number) => ({
    ...{ keyId, iat, exp: iat + 3_600, jti: `token-with-a-long-id-${number}` },
  }));
  for (let from = 0; from < TOKENS; from += 1_000)
    await Promise.all(entries.slice(from, from + 1_000).map((entry) => plantEntry('user-1', entry)));
});
afterAll(() => stores?.close());

/** Returns the CPU time of the fastest of three runs, in milliseconds, including process startup. */
async function timeOf(words: string[]): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 3; run += 1) {
    const begun = process.cpuUsage();
    expect((await stores.run(...words)).exitCode).toBe(0);
    const { user, system } = process.cpuUsage(begun);
    times.push((user + system) / 1_000);
  }
  return Math.min(...times);
}

test.each([
  { words: ['users', 'list'], rows: USERS },
  { words: ['token', 'list', '--sub', 'user-1'], rows: TOKENS },
])('$words.0 list of $rows rows takes at most twice as long as its JSON', async ({ words, rows }) => {
  const { stdout } = await stores.run(...words);
  expect(stdout.split('\n')).toHaveLength(rows + 2);

  const [json, table] = [await timeOf([...words, '--json']), await timeOf(words)];

  expect(table / json, `${table} ms, and ${json} ms as JSON`).toBeLessThanOrEqual(2);
});
