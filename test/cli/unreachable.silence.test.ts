import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openMysqlWithPassword } from '../support/open-mysql.js';
import { type SilencingProxy, startSilencingProxy } from '../support/proxies/silencing-proxy.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { type Ended, spawnCli, spawnProgram } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

const TIMEOUT_MS = 2_000;
/** Long enough for a busy machine, because what counts is `longestMs`. */
const KILL_AFTER_MS = 60_000;
const TEST_TIMEOUT_MS = 90_000;
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

let stores: Stores;
let token = '';
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
});
afterAll(() => stores?.close());

/**
 * Runs a program with this address of MySQL and, beside it, with a closed port. Adds how long the first may
 * take: some timeouts, and twice the time that the program takes without a server.
 */
async function runBesideBase(
  mysqlUrl: string,
  run: (mysqlUrl: string) => Promise<Ended>,
  { timeouts }: { timeouts: number },
) {
  const [port] = await closedPorts(1);
  const nowhere = Object.assign(new URL(mysqlUrl), { port: String(port) });
  const [ended, base] = await Promise.all([run(mysqlUrl), run(nowhere.href)]);
  expect(base).toMatchObject({ stdout: '', signal: null });
  return { ...ended, longestMs: timeouts * TIMEOUT_MS + 2 * base.elapsedMs };
}

function addUser(sub: string): (mysqlUrl: string) => Promise<Ended> {
  return (mysqlUrl) =>
    spawnCli(['users', 'add', sub, '--timeout', '2s', '--json'], {
      env: { ...stores.env, JWTCTL_MYSQL_URL: mysqlUrl },
      killAfterMs: KILL_AFTER_MS,
    });
}

/** The process ends by itself although the server sends no more data. */
describe('MySQL that falls silent', () => {
  let proxy: SilencingProxy;
  beforeEach(async () => {
    proxy = await startSilencingProxy(String(stores.env.JWTCTL_MYSQL_URL));
  });
  afterEach(() => proxy.stop());

  async function expectEnd(exitCode: number, run: (mysqlUrl: string) => Promise<Ended>): Promise<Ended> {
    // One for a query, and one for closing.
    const ended = await runBesideBase(proxy.url, run, { timeouts: 2 });
    expect(ended).toMatchObject({ exitCode, stdout: '', signal: null });
    expect(proxy.silenced()).toBeGreaterThan(0);
    expect(ended.elapsedMs).toBeLessThan(ended.longestMs);
    return ended;
  }

  test.each(['SET SESSION TRANSACTION', 'jwtctl_migration', 'insert into `users`', 'audit_head', 'commit'])(
    'at %j is reported as unreachable',
    async (trigger) => {
      proxy.fallSilentAt(trigger);
      const ended = await expectEnd(4, addUser('bob'));
      expect(ended.error()).toMatchObject({ code: 'ERR_MYSQL_UNREACHABLE' });
      expect(ended.error().message).toContain(new URL(proxy.url).host);
    },
    TEST_TIMEOUT_MS,
  );

  test.each(['SET SESSION TRANSACTION', 'keystore', 'security_log'])(
    'at %j makes a verifier of the library reject, and the program exits',
    async (trigger) => {
      proxy.fallSilentAt(trigger);
      const program = `
        import { openVerifier } from '${LIBRARY}';
        let verifier;
        try {
          verifier = await openVerifier();
          await verifier.verify(process.argv[1]);
        } catch ({ kind, code }) {
          console.error(kind, code);
        } finally {
          await verifier?.close();
        }
      `;
      const ended = await expectEnd(0, (mysqlUrl) =>
        spawnProgram(process.execPath, ['--input-type=module', '-e', program, token], {
          env: { ...stores.env, JWTCTL_MYSQL_URL: mysqlUrl, JWTCTL_TIMEOUT: '2s' },
          killAfterMs: KILL_AFTER_MS,
        }),
      );
      expect(ended.stderr).toBe('unavailable ERR_MYSQL_UNREACHABLE\n');
    },
    TEST_TIMEOUT_MS,
  );
});

describe('MySQL whose rows another session has locked', () => {
  test(
    'is reported as busy',
    async () => {
      const mysqlUrl = String(stores.env.JWTCTL_MYSQL_URL);
      const other = openMysqlWithPassword(mysqlUrl, 10_000);
      try {
        await other.db.transaction().execute(async (transaction) => {
          await sql`select * from audit_head for update`.execute(transaction);
          // The second wait for the lock may begin just before the first timeout is over.
          const ended = await runBesideBase(mysqlUrl, addUser('carol'), { timeouts: 3 });
          expect(ended).toMatchObject({ exitCode: 4, stdout: '', signal: null });
          expect(ended.error()).toMatchObject({ code: 'ERR_DATABASE_CONFLICT' });
          expect(ended.error().message).toContain(new URL(mysqlUrl).host);
          expect(ended.elapsedMs).toBeLessThan(ended.longestMs);
        });
      } finally {
        await other.close();
      }
    },
    TEST_TIMEOUT_MS,
  );
});
