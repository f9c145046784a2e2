import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const COMMANDS = [
  ['users', 'disable', 'alice'],
  ['token', 'revoke', '--sub', 'alice', '--all', '--yes'],
  ['users', 'remove', 'alice', '--yes'],
  ['token', 'issue', '--sub', 'alice'],
  ['keys', 'generate'],
];

describe.each(BACKENDS)('a table that must have one valid row, on %s', (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'first');
    await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
  });
  afterEach(() => stores?.close());

  test.each([
    ['DELETE FROM audit_head', 'audit_head'],
    ['UPDATE audit_head SET seq = 9223372036854775807', 'audit_head'],
    ['UPDATE audit_head SET seq = 9007199254740991', 'audit_head'],
    ['UPDATE audit_head SET seq = -1', 'audit_head'],
    ['DELETE FROM keystore_revision', 'keystore_revision'],
    ['UPDATE keystore_revision SET revision = 9223372036854775807', 'keystore_revision'],
    ['UPDATE keystore_revision SET revision = 9007199254740991', 'keystore_revision'],
    ['UPDATE keystore_revision SET recovered_at = -1', 'keystore_revision'],
  ])('is named by each command that needs it, and nothing is changed: %s', async (statement, table) => {
    await stores.query(statement);
    const before = await stores.query('SELECT status FROM users');
    for (const words of COMMANDS) {
      const result = await stores.run(...words, '--json');
      // The embedded store records no marks, so revocations do not read the revision.
      if (table === 'keystore_revision' && result.exitCode === 0) continue;
      expect(result, words.join(' ')).toMatchObject({ exitCode: 3, stdout: '' });
      expect(result.error(), words.join(' ')).toMatchObject({ code: 'ERR_DATABASE_DAMAGED' });
      expect(result.error().message).toContain(table);
      expect(result.error().hint).toContain(table);
    }
    if (table === 'audit_head') expect(await stores.query('SELECT status FROM users')).toEqual(before);
  });

  test('works again once the rows are restored as the documentation says', async () => {
    const statements = [...DOCUMENT.matchAll(/^REPLACE INTO (\w+).*$/gm)];
    expect(statements.map(([, table]) => table)).toEqual(['audit_head', 'keystore_revision']);
    for (const [statement, table] of statements) {
      const [{ chain_id: chainId = '' } = {}] = await stores.query(`SELECT * FROM ${table}`);
      await stores.query(`DELETE FROM ${table}`);
      await stores.query(statement.replace('…', String(chainId)));
    }
    if (stores.isCluster) await stores.json('db', 'recover', '--reapply', '--yes');
    await stores.json('users', 'disable', 'alice');
    await stores.json('keys', 'generate');
    await stores.json('token', 'issue', '--sub', 'bob', '--create-user');
    expect(await stores.query('SELECT status FROM users WHERE sub = ?', ['alice'])).toEqual([
      { status: 'disabled' },
    ]);
  });
});

const DOCUMENT = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
