import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startLoad } from '../support/load.js';
import { ROTATIONS } from '../support/repetitions.js';
import { spawnCli } from '../support/spawned.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const SUBJECTS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];
const HOUR = 3_600;

describe.each(BACKENDS)('while keys rotate on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    for (const sub of SUBJECTS) await stores.json('users', 'add', sub);
  });
  afterEach(() => stores?.close());

  test(
    'verifiers in other processes refuse no token, and no key signs before its publish lead is over',
    async ({ annotate }) => {
      // Longer than the second that a verifier waits between two reads for an unknown kid. So its last read is older when the
      // next key begins to sign, and the first token does not have to wait.
      const leadSeconds = 2;
      // The first key was never published, and counts as published.
      await publishEarlier();
      const load = await startLoad(stores.env, { subjects: SUBJECTS, verifiers: 2 });
      const active: string[] = [];
      try {
        for (let rotation = 0; rotation < ROTATIONS; rotation++) {
          const words = ['keys', 'rotate', '--now', '--wait'];
          const report = await json(...words, '--keys-publish-lead', `${leadSeconds}s`);
          expect(report).toMatchObject({ rotated: true, reason: 'forced' });
          active.push(report.active);
          await load.used(report.active);
        }
        const reports = await load.end();
        const { issued } = load;
        const numbers = reports.map(({ first, again, slowestFirstMs }) => ({ first, again, slowestFirstMs }));
        const said = `${issued.length} tokens, ${ROTATIONS} rotations, ${JSON.stringify(numbers)}`;
        await annotate(said);

        const kids = new Set(issued.map(({ kid }) => kid));
        expect(new Set(active).size, said).toBe(ROTATIONS);
        expect(kids.size, said).toBe(ROTATIONS + 1);
        const signsFrom = new Map<string, number>();
        for (const { kid, createdAt } of await json('keys', 'list'))
          signsFrom.set(kid, createdAt + leadSeconds);
        const tooEarly = issued.filter(({ kid, iat }) => iat < Number(signsFrom.get(kid)));
        expect(new Set(tooEarly.map(({ kid }) => kid)), said).toEqual(new Set());
        for (const { refusals, first, again, verifications } of reports) {
          expect(refusals, said).toEqual({});
          expect(first, said).toBe(issued.length);
          expect(Object.keys(verifications).sort(), said).toEqual([...kids].sort());
          expect(first + again, said).toBeGreaterThan(200 * ROTATIONS);
        }
      } finally {
        load.kill();
      }
    },
    60_000 + ROTATIONS * 20_000,
  );

  test('another program accepts tokens of a key that its JWK Set contained before', async () => {
    await stores.json('keys', 'rotate');
    for (let rotation = 1; rotation <= 3; rotation++) {
      const jwks = createLocalJWKSet(await stores.json('keys', 'export', '--jwks'));
      await publishEarlier();
      const { rotated, active } = await json('keys', 'rotate', '--now', '--wait');
      const { token, kid } = await stores.json('token', 'issue', '--sub', 'alice');

      expect({ rotated, active }).toEqual({ rotated: true, active: kid });
      const { protectedHeader, payload } = await jwtVerify(token, jwks, {
        issuer: 'jwtctl',
        audience: 'user',
      });
      expect({ kid: protectedHeader.kid, sub: payload.sub }).toEqual({ kid, sub: 'alice' });
    }
  });

  test('another program refuses tokens of a key that was not published before', async () => {
    const jwks = createLocalJWKSet(await stores.json('keys', 'export', '--jwks'));
    expect(await json('keys', 'rotate', '--now')).toMatchObject({ rotated: true });
    const { token } = await stores.json('token', 'issue', '--sub', 'alice');
    await expect(jwtVerify(token, jwks)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });

  /** Runs one command in its own process. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  async function json(...words: string[]): Promise<any> {
    const { env } = stores;
    const { exitCode, stderr, json } = await spawnCli([...words, '--json'], { env, killAfterMs: 60_000 });
    expect({ words, exitCode }, stderr).toEqual({ words, exitCode: 0 });
    return json();
  }

  /** Makes every key look published an hour earlier. */
  async function publishEarlier(): Promise<void> {
    await stores.query('UPDATE keystore SET created_at = created_at - ?', [String(HOUR)]);
  }
});
