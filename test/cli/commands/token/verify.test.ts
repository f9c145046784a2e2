import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freshJwk, keyOf, pkcs8Of, writeKeyFile } from '../../../support/private-keys.js';
import { rsaPair, signJws } from '../../../support/signing.js';
import { openStores, type Stores } from '../../../support/stores.js';

let stores: Stores;
let kid = '';
let token = '';

beforeAll(async () => {
  stores = await openStores('SQLite');
  kid = (await stores.json('keys', 'generate')).kid;
});
afterAll(() => stores?.close());
beforeEach(async () => {
  delete stores.env.JWTCTL_USERS_SOURCE;
  delete stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY;
  token = (await stores.json('token', 'issue', '--sub', 'alice', '--create-user')).token;
});

/** Returns the lines of the four checks. */
async function checksOf(candidate: string, exitCode: number): Promise<string[]> {
  const result = await stores.run('token', 'verify', '--', candidate);
  expect(result.exitCode, result.stderr).toBe(exitCode);
  const lines = result.lines().map((line) => line.replace(/ +/g, ' '));
  const first = lines.findIndex((line) => line.startsWith('signature '));
  return lines.slice(first, first + 4);
}

test('shows four checks that an accepted token passed', async () => {
  expect(await checksOf(token, 0)).toEqual([
    `signature ✓ passed: made with key ${kid}`,
    expect.stringMatching(/^claims ✓ passed: expires in 1h \(\d{4}-\d\d-\d\dT.*Z\)$/),
    'registry ✓ passed: registered, not revoked',
    'user ✓ passed: alice is enabled',
  ]);
});

test('shows a signature that is refused, and no fact of the checks that were not made', async () => {
  const forged = await signJws(rsaPair(), { alg: 'RS256', kid }, { sub: 'alice' });
  expect(await checksOf(forged, 1)).toEqual([
    `signature ✗ refused: The signature was not made with key ${kid}.`,
    ...['claims – not checked', 'registry – not checked', 'user – not checked'],
  ]);
  expect((await checksOf('nonsense', 1))[0]).toMatch(/^signature ✗ refused: This is not a JWT/);
});

test('shows that the signature of an expired token is valid', async () => {
  stores.clock.advance(3_700);
  expect(await checksOf(token, 1)).toEqual([
    `signature ✓ passed: made with key ${kid}`,
    expect.stringMatching(/^claims ✗ refused: The token expired 100 s ago/),
    ...['registry – not checked', 'user – not checked'],
  ]);
});

test('shows a revoked token, and a disabled user', async () => {
  await stores.json('users', 'disable', 'alice');
  expect((await checksOf(token, 1)).slice(2)).toEqual([
    'registry ✓ passed: registered, not revoked',
    'user ✗ refused: The user of the token is disabled.',
  ]);
  await stores.json('token', 'revoke', token);
  expect((await checksOf(token, 1)).slice(2)).toEqual([
    'registry ✗ refused: The token has been revoked.',
    'user – not checked',
  ]);
  await stores.json('users', 'enable', 'alice');
});

test('says that a token is accepted within the clock tolerance after it expired', async () => {
  stores.clock.advance(3_603);
  expect((await checksOf(token, 0))[1]).toMatch(
    /^claims ✓ passed: expired 3s ago \(\d{4}-.*Z\), within the clock tolerance$/,
  );
});

test('does not say that a user is enabled if no user is required', async () => {
  stores.env.JWTCTL_USERS_SOURCE = 'off';
  expect((await checksOf(token, 0))[3]).toBe('user ✓ passed: not required (users.source: off)');
});

test('shows the claims as checked if the signature of a registered legacy token is refused', async () => {
  stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY = '2099-01-01';
  const key = keyOf(freshJwk());
  const pem = writeKeyFile(stores.home, 'theirs.pem', pkcs8Of(key));
  await stores.json('keys', 'import', '--pem', pem, '--kid', 'theirs');
  const exp = stores.clock.now() + 60;
  const legacy = await signJws({ privateKey: key }, { alg: 'RS256' }, { sub: 'alice', exp, serial: 1 });
  await stores.json('token', 'register', '--legacy', '-', { stdin: legacy });
  const forged = `${legacy.slice(0, legacy.lastIndexOf('.'))}.${'A'.repeat(342)}`;
  expect(await checksOf(forged, 1)).toEqual([
    'signature ✗ refused: The signature was not made with key theirs.',
    expect.stringMatching(/^claims ✓ passed: expires in 1m/),
    ...['registry – not checked', 'user – not checked'],
  ]);
});

test('shows no valid signature for a legacy token without an entry', async () => {
  stores.env.JWTCTL_TOKEN_ACCEPT_LEGACY = '2099-01-01';
  const forged = await signJws(rsaPair(), { alg: 'RS256' }, { sub: 'alice', exp: stores.clock.now() + 60 });
  expect(await checksOf(forged, 1)).toEqual([
    'signature – not checked',
    expect.stringMatching(/^claims ✓ passed/),
    'registry ✗ refused: The token is not in the registry.',
    'user – not checked',
  ]);
});
