import { type Connection, createConnection, type ResultSetHeader } from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type OpenVerifier, openVerifier } from '../../src/index.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;
let verifier: OpenVerifier;
const connections: Connection[] = [];

beforeEach(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  const { JWTCTL_MYSQL_URL, JWTCTL_REDIS_NODES, JWTCTL_REDIS_PREFIX } = stores.env;
  verifier = await openVerifier({
    mysql: { url: String(JWTCTL_MYSQL_URL) },
    redis: { nodes: String(JWTCTL_REDIS_NODES), prefix: String(JWTCTL_REDIS_PREFIX) },
  });
});
afterEach(async () => {
  for (const connection of connections.splice(0)) await connection.end();
  await verifier?.close();
  await stores?.close();
});

interface Token {
  sub: string;
  token: string;
  jti: string;
  iat: number;
}

/** Records an event in an open transaction. Returns the event's id and a function that commits it. */
async function begin(event: Record<string, unknown>): Promise<{ id: number; commit: () => Promise<void> }> {
  const connection = await createConnection(String(stores.env.JWTCTL_MYSQL_URL));
  connections.push(connection);
  await connection.beginTransaction();
  const now = Math.floor(Date.now() / 1000);
  const [{ insertId }] = await connection.query<ResultSetHeader>('INSERT INTO security_log SET ?', {
    ...event,
    at: now,
    expires_at: now + 90_000,
  });
  return { id: insertId, commit: () => connection.commit() };
}

async function verdict({ token }: Token): Promise<string> {
  const result = await verifier.verify(token);
  return result.active ? 'active' : result.error.code;
}

/** Waits until the verifier has read the log again, which it does every second. */
const verdicts = (...tokens: Token[]) =>
  expect.poll(() => Promise.all(tokens.map(verdict)), { timeout: 5000 });

// The registry keeps both entries, so only the log can revoke these tokens.
test.each([
  { what: 'a token', event: ({ sub, jti }: Token) => ({ type: 'token_revoked', sub, jti }) },
  {
    what: 'a subject',
    event: ({ sub, iat }: Token) => ({ type: 'subject_revoked', sub, issued_before: iat }),
  },
])(
  'a running verifier sees two revocations of $what committed in reverse order of their ids',
  async ({ event }) => {
    const issue = (sub: string): Promise<Token> =>
      stores.json('token', 'issue', '--sub', sub, '--create-user');
    const [alice, bob] = [await issue('alice'), await issue('bob')];
    expect([await verdict(alice), await verdict(bob)]).toEqual(['active', 'active']);

    const earlier = await begin(event(alice));
    const later = await begin(event(bob));
    expect(earlier.id).toBeLessThan(later.id);
    expect([await verdict(alice), await verdict(bob)]).toEqual(['active', 'active']);

    await later.commit();
    await verdicts(alice, bob).toEqual(['active', 'ERR_TOKEN_REVOKED']);

    await earlier.commit();
    await verdicts(alice, bob).toEqual(['ERR_TOKEN_REVOKED', 'ERR_TOKEN_REVOKED']);
  },
);
