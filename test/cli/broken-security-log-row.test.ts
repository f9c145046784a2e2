import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { openContext } from '../support/opened-context.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

describe.each(BACKENDS)('a row of the security log that another program changed, on %s', (backend) => {
  let stores: Stores;
  let alice: string;
  let bob: string;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    const issue = async (sub: string) =>
      (await stores.json('token', 'issue', '--sub', sub, '--create-user')).token;
    [alice, bob] = [await issue('alice'), await issue('bob')];
    await stores.json('token', 'revoke', await issue('alice'));
    await stores.query("UPDATE security_log SET type = 'Subject_Revoked', jti = NULL");
  });
  afterEach(() => stores?.close());

  test('refuses the tokens that it names, and is named in a warning', async () => {
    const refused = await stores.run('token', 'verify', alice, '--json');
    expect(refused.json().error.code).toBe('ERR_TOKEN_REVOKED');
    const { stderr } = await stores.run('token', 'verify', alice);
    expect(stderr.match(/Warning: Row 1 of the table security_log/g)).toHaveLength(1);
    expect((await stores.run('token', 'verify', bob)).exitCode).toBe(0);
    const issued = await stores.run('token', 'issue', '--sub', 'alice', '--json');
    expect({ exitCode: issued.exitCode, code: issued.error().code }).toEqual({
      exitCode: 3,
      code: 'ERR_REVOCATION_IN_FUTURE',
    });
    await stores.json('token', 'issue', '--sub', 'bob');
  });

  test('makes a running verifier refuse the tokens, and warn once', async () => {
    const cautions: string[] = [];
    const context = await openContext({
      ...{ env: stores.env, home: stores.home, clock: systemClock },
      caution: (text) => cautions.push(text),
    });
    // Reads the log again.
    await (await openLiveVerifier(context)).close();
    const verifier = await openLiveVerifier(context);
    try {
      expect(await verifier.verify(alice)).toMatchObject({ error: { code: 'ERR_TOKEN_REVOKED' } });
      expect(await verifier.verify(bob)).toMatchObject({ active: true });
      expect(cautions.filter((text) => text.includes('security_log'))).toEqual([
        expect.stringContaining('Row 1 of the table security_log'),
      ]);
    } finally {
      await verifier.close();
      await context.dispose();
    }
  });
});
