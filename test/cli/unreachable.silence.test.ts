import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openMysql } from '../../src/adapters/sql/mysql/open-mysql.js';
import { type SilencingProxy, startSilencingProxy } from '../support/silencing-proxy.js';
import { type Ended, spawnCli, spawnProgram } from '../support/spawned.js';
import { openStores, type Stores } from '../support/stores.js';

const TIMEOUT_MS = 2_000;
// For starting Node beside other tests, and for closing.
const LONGEST_MS = TIMEOUT_MS + 3_500;
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

let stores: Stores;
let token = '';
beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  await stores.json('keys', 'generate');
  ({ token } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user'));
});
afterAll(() => stores?.close());

/** The process ends by itself although the server sends no more data. */
describe('MySQL that falls silent', () => {
  let proxy: SilencingProxy;
  beforeEach(async () => {
    proxy = await startSilencingProxy(String(stores.env.JWTCTL_MYSQL_URL));
  });
  afterEach(() => proxy.stop());

  function expectEnded(ended: Ended, exitCode: number) {
    expect(ended).toMatchObject({ exitCode, stdout: '', signal: null });
    expect(proxy.silenced()).toBeGreaterThan(0);
    expect(ended.elapsedMs).toBeLessThan(LONGEST_MS);
  }

  test.each(['SET SESSION TRANSACTION', 'jwtctl_migration', 'insert into `users`', 'audit_head', 'commit'])(
    'at %j is reported as unreachable',
    async (trigger) => {
      proxy.fallSilentAt(trigger);
      const ended = await spawnCli(['users', 'add', 'bob', '--timeout', '2s', '--json'], {
        env: { ...stores.env, JWTCTL_MYSQL_URL: proxy.url },
      });
      expectEnded(ended, 4);
      expect(ended.error()).toMatchObject({ code: 'ERR_MYSQL_UNREACHABLE' });
      expect(ended.error().message).toContain(new URL(proxy.url).host);
    },
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
      const ended = await spawnProgram(process.execPath, ['--input-type=module', '-e', program, token], {
        env: { ...stores.env, JWTCTL_MYSQL_URL: proxy.url, JWTCTL_TIMEOUT: '2s' },
      });
      expectEnded(ended, 0);
      expect(ended.stderr).toBe('unavailable ERR_MYSQL_UNREACHABLE\n');
    },
  );
});

describe('MySQL whose rows another session has locked', () => {
  test('is reported as busy', async () => {
    const other = openMysql({ url: String(stores.env.JWTCTL_MYSQL_URL), timeoutMs: 10_000 });
    try {
      await other.db.transaction().execute(async (transaction) => {
        await sql`select * from audit_head for update`.execute(transaction);
        const ended = await spawnCli(['users', 'add', 'carol', '--timeout', '2s', '--json'], {
          env: stores.env,
        });
        expect(ended).toMatchObject({ exitCode: 4, stdout: '', signal: null });
        expect(ended.error()).toMatchObject({ code: 'ERR_DATABASE_CONFLICT' });
        expect(ended.error().message).toContain(new URL(String(stores.env.JWTCTL_MYSQL_URL)).host);
        expect(ended.elapsedMs).toBeLessThan(LONGEST_MS + 1_000);
      });
    } finally {
      await other.close();
    }
  });
});
