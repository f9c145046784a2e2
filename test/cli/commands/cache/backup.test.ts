import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyIds, plant } from '../../../support/planted-entries.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../../../support/stores.js';

interface Issued {
  sub: string;
  token: string;
  jti: string;
  iat: number;
  exp: number;
}

describe.each(BACKENDS)('backup and restore, on %s', { timeout: 60_000 }, (backend) => {
  let stores: Stores;
  beforeEach(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate', '--kid', 'k1');
  });
  afterEach(() => stores?.close());

  async function issue(sub: string, ...more: string[]): Promise<Issued> {
    return stores.json('token', 'issue', `--sub=${sub}`, '--create-user', ...more);
  }

  async function refusal({ token }: Issued): Promise<string | null> {
    const { exitCode, json } = await stores.run('token', 'verify', token, '--json');
    return exitCode === 0 ? null : json().error.code;
  }

  async function list(
    sub: string,
  ): Promise<Array<{ jti: string; exp: number; meta: { device: string } | null }>> {
    return stores.json('token', 'list', `--sub=${sub}`);
  }

  /** Removes all data of the registry, as an attacker or an accident could. */
  async function wipe(): Promise<void> {
    if (stores.redis === null) {
      await stores.query('DELETE FROM registry_entries');
      await stores.query('DELETE FROM registry_users');
      return;
    }
    const { client, keys } = stores.redis;
    for (const name of [...(await keys()).values()].flat()) await client.unlink(name);
  }

  /** Activates another key. The previous one stays trusted. */
  async function rotate(): Promise<string> {
    return (await stores.json('keys', 'rotate', '--now')).active;
  }

  test('restore makes all flushed tokens valid again, with the same expiry and meta', async () => {
    const tokens = [
      await issue('alice', '--meta', 'device=phone'),
      await issue('alice', '--ttl', '2h'),
      await issue('bob'),
    ];
    await rotate();
    tokens.push(await issue('carol', '--meta', 'device=car'));
    const before = await Promise.all(['alice', 'bob', 'carol'].map(list));

    const flushed = await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');
    expect(flushed).toMatchObject({
      ...{ matched: 4, removed: 4, subjects: 3, dryRun: false, complete: true },
      byKid: [
        { kid: 'k1', state: 'retiring', entries: 3 },
        { state: 'active', entries: 1 },
      ],
      backup: join(stores.home, 'm'),
    });
    const removedByNode = flushed.byNode.map(({ removed }: { removed: number }) => removed);
    expect(removedByNode.reduce((sum: number, count: number) => sum + count, 0)).toBe(4);
    for (const token of tokens) expect(await refusal(token)).toBe('ERR_TOKEN_NOT_REGISTERED');

    stores.clock.advance(60);
    for (const [restored, unchanged] of [
      [4, 0],
      [0, 4],
    ]) {
      const planned = await stores.json('cache', 'restore', 'm', '--dry-run');
      expect(planned).toMatchObject({ entries: 4, restored, unchanged, dryRun: true });
      expect(await stores.json('cache', 'restore', 'm')).toEqual({ ...planned, dryRun: false });
      for (const token of tokens) expect(await refusal(token)).toBeNull();
      expect(await Promise.all(['alice', 'bob', 'carol'].map(list))).toEqual(before);
    }
    const { stdout } = await stores.run('cache', 'restore', 'm');
    expect(stdout).toMatch(/Restored 0 of 4 entries\n.*\n4 entries were already in the registry\./);
    expect(await stores.json('cache', 'inspect', '--deep')).toMatchObject({
      ...{ entries: 4, subjects: 3, anomalies: { noTtl: 0, ttlMismatch: 0, unknownKid: 0, malformed: 0 } },
    });
  });

  test('a snapshot restores all tokens after the registry lost its data', async () => {
    const tokens: Issued[] = [];
    for (const sub of ['alice', 'alice', 'bob', 'carol']) tokens.push(await issue(sub));
    const content = await stores.content();
    expect(await stores.json('cache', 'snapshot', 's')).toMatchObject({
      ...{ backup: join(stores.home, 's'), entries: 4, subjects: 3, complete: true, dryRun: false },
      byKid: [{ kid: 'k1', state: 'active', entries: 4 }],
    });
    expect(await stores.content()).toBe(content);
    await wipe();
    for (const token of tokens) expect(await refusal(token)).toBe('ERR_TOKEN_NOT_REGISTERED');

    const piped = { stdin: readFileSync(join(stores.home, 's'), 'utf8') };
    const { exitCode, stdout } = await stores.run('cache', 'restore', '-', '--json', piped);
    expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({ exitCode: 0, restored: 4, complete: true });
    for (const token of tokens) expect(await refusal(token)).toBeNull();
  });

  test('restore skips tokens that are no longer valid, and reports each reason', async () => {
    const tokens = {
      short: await issue('alice', '--ttl', '30s'),
      alone: await issue('alice'),
      ofRevoked: await issue('rita'),
      ofRemoved: await issue('rob'),
      ofDisabled: await issue('dora'),
      ofReplaced: await issue('rex'),
      good: await issue('alice'),
    };
    const k2 = await rotate();
    const leaked = await issue('alice');
    const k3 = await rotate();
    const ended = await issue('bob');
    await rotate();
    const last = await issue('bob');
    await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');

    stores.clock.advance(40);
    await stores.json('token', 'revoke', '--sub', 'alice', '--jti', tokens.alone.jti);
    await stores.json('token', 'revoke', '--sub', 'rita', '--all', '--yes');
    await stores.json('users', 'remove', 'rob', '--yes');
    await stores.json('users', 'disable', 'dora');
    await stores.json('users', 'remove', 'rex', '--yes');
    await stores.json('users', 'add', 'rex');
    await stores.json('keys', 'compromise', k2, '--reason', 'found in public', '--yes');
    await stores.json('keys', 'retire', k3, '--force', '--yes');

    const expected = {
      ...{ entries: 10, restored: 2, complete: true },
      skipped: {
        ...{ malformed: 0, expired: 1, keyNotTrusted: 2 },
        // Removing a user revokes the user's tokens, also for a later user of the same name.
        ...{ revoked: 4, userUnknown: 0, userDisabled: 1 },
      },
    };
    const before = await stores.content();
    expect(await stores.json('cache', 'restore', 'm', '-n')).toMatchObject({ ...expected, dryRun: true });
    expect(await stores.content()).toBe(before);
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({ ...expected, dryRun: false });
    expect(await refusal(tokens.good)).toBeNull();
    expect(await refusal(last)).toBeNull();
    for (const gone of [tokens.short, tokens.alone, tokens.ofRevoked, tokens.ofRemoved, leaked, ended]) {
      expect(await refusal(gone)).not.toBeNull();
    }
    expect(await list('rex')).toEqual([]);
    expect(await list('dora')).toEqual([]);
    expect((await stores.json('cache', 'inspect')).entries).toBe(2);
  });

  test('restore reports a user whose row is gone as unknown', async () => {
    await issue('alice');
    await stores.json('cache', 'snapshot', 's');
    await stores.query("DELETE FROM users WHERE sub = 'alice'");
    expect(await stores.json('cache', 'restore', 's')).toMatchObject({
      ...{ restored: 0, complete: true, skipped: { userUnknown: 1 } },
    });
  });

  test('flush combines its selections, and keeps all other entries', async () => {
    const old = await issue('alice');
    const [, ofBob] = [stores.clock.advance(10), await issue('bob')];
    const k2 = await rotate();
    const young = await issue('alice');
    const flush = (...words: string[]) => stores.json('cache', 'flush', ...words, '--yes');
    const before = String(old.iat + 9);

    for (const [words, matched] of [
      [['--sub', 'alice', '--kid', k2, '--issued-before', before], 0],
      [['--sub', 'alice', '--kid', 'k1'], 1],
      [['--kid', 'k1', '--issued-before', before], 1],
      [['--kid', 'k1'], 2],
      [['--sub', 'alice'], 2],
      [['--issued-before', String(young.iat)], 3],
      [['--all'], 3],
    ] as const) {
      const counted = await stores.json('cache', 'flush', ...words, '-n');
      expect({ words, matched: counted.matched, removed: counted.removed }).toEqual({
        words,
        matched,
        removed: 0,
      });
    }
    expect(await flush('--sub', 'alice', '--issued-before', before)).toMatchObject({
      ...{ matched: 1, removed: 1, subjects: 1, backup: null },
      byKid: [{ kid: 'k1', entries: 1 }],
      byNode: expect.arrayContaining([expect.objectContaining({ matched: 1, removed: 1 })]),
    });
    expect([await refusal(old), await refusal(ofBob), await refusal(young)]).toEqual([
      ...['ERR_TOKEN_NOT_REGISTERED', null, null],
    ]);
    expect(await flush('--kid', k2, '--issued-before', String(young.iat), '--backup', 'm')).toMatchObject({
      ...{ matched: 1, removed: 1, subjects: 1, byKid: [{ kid: k2, entries: 1 }] },
    });
    expect([await refusal(ofBob), await refusal(young)]).toEqual([null, 'ERR_TOKEN_NOT_REGISTERED']);
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({ restored: 1 });
    expect(await refusal(young)).toBeNull();
  });

  test('restoring an old token removes no newer one; issuing the next token removes the oldest', async () => {
    stores.env.JWTCTL_REGISTRY_MAX_PER_SUBJECT = '2';
    const first = [await issue('alice'), await issue('alice')];
    await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');
    stores.clock.advance(1);
    const second = [await issue('alice'), await issue('alice')];
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({ restored: 2 });
    for (const token of [...first, ...second]) expect(await refusal(token)).toBeNull();
    stores.clock.advance(1);
    const third = await issue('alice');
    expect((await list('alice')).map(({ jti }) => jti)).toEqual([
      expect.toBeOneOf(second.map(({ jti }) => jti)),
      third.jti,
    ]);
  });

  test('backs up an entry whose key row is gone, and does not restore it', async () => {
    const { k1 = 0 } = await keyIds(stores);
    const now = stores.clock.now();
    await issue('bob');
    await plant(stores, 'alice', [{ jti: 'j', keyId: k1 + 7, iat: now - 10, exp: now + 600 }]);
    expect(await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes')).toMatchObject({
      ...{ matched: 2, removed: 2 },
      byKid: expect.arrayContaining([{ kid: null, keyId: k1 + 7, state: null, entries: 1 }]),
    });
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({
      ...{ entries: 2, restored: 1, skipped: { keyNotTrusted: 1 } },
    });
  });

  test('backs up a malformed entry, and does not restore it', async () => {
    const { k1 = 0 } = await keyIds(stores);
    const now = stores.clock.now();
    await stores.json('users', 'add', 'alice');
    await plant(stores, 'alice', [{ jti: 'a\nb', keyId: k1, iat: now - 10, exp: now + 600 }]);
    await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({
      ...{ entries: 1, restored: 0, skipped: { malformed: 1 } },
    });
  });

  test('encrypts the file, and makes it readable only for its owner', async () => {
    const { jti } = await issue('mallory', '--meta', 'device=kitchen');
    await stores.json('cache', 'snapshot', 's');
    const file = join(stores.home, 's');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, 'utf8');
    for (const secret of ['mallory', 'kitchen', jti]) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(secret).toString('base64url'));
    }
  });

  test('refuses an existing file before it removes an entry', async () => {
    const token = await issue('alice');
    writeFileSync(join(stores.home, 'there'), 'kept');
    const before = await stores.content();
    for (const words of [
      ['cache', 'flush', '--all', '--backup', 'there', '--yes'],
      ['cache', 'flush', '--all', '--backup', 'there', '-n'],
      ['cache', 'flush', '--sub', 'alice', '--backup', '.', '--yes'],
      ['cache', 'snapshot', 'there'],
      ['cache', 'snapshot', 'there', '-n'],
    ]) {
      const { exitCode, stdout, error } = await stores.run(...words, '--json');
      expect({ words, exitCode, stdout, code: error().code }).toEqual({
        ...{ words, exitCode: 2, stdout: '', code: 'ERR_FILE_EXISTS' },
      });
    }
    for (const words of [
      ['cache', 'flush', '--all', '--backup', 'absent/m', '--yes'],
      ['cache', 'snapshot', 'absent/m'],
    ]) {
      const { exitCode, error } = await stores.run(...words, '--json');
      expect([exitCode, error().code]).toEqual([2, 'ERR_FILE_UNWRITABLE']);
    }
    for (const words of [
      ['cache', 'flush', '--all', '--backup', '-', '--yes'],
      ['cache', 'snapshot', '-'],
    ]) {
      const { exitCode, error } = await stores.run(...words, '--json');
      expect([exitCode, error().code]).toEqual([2, 'ERR_FLAG_INVALID']);
    }
    expect(readFileSync(join(stores.home, 'there'), 'utf8')).toBe('kept');
    expect(await stores.content()).toBe(before);
    expect(await refusal(token)).toBeNull();
  });

  test('refuses to back up or restore without the master key, and removes nothing', async () => {
    const token = await issue('alice');
    const away = join(stores.home, 'away.key');
    const before = await stores.content();
    const { exitCode, error } = await stores.run(
      ...['cache', 'flush', '--all', '--backup', 'm', '--yes', '--json', '--master-key-file', away],
    );
    expect([exitCode, error().code]).toEqual([3, 'ERR_MASTER_KEY_MISSING']);
    expect(() => statSync(join(stores.home, 'm'))).toThrow('ENOENT');
    expect(await stores.content()).toBe(before);
    expect(await refusal(token)).toBeNull();

    await stores.json('cache', 'snapshot', 's');
    const other = writeMasterKey(stores.home, 'other.key');
    const refused = await stores.run('cache', 'restore', 's', '--json', '--master-key-file', other);
    expect([refused.exitCode, refused.error().code]).toEqual([3, 'ERR_MASTER_KEY_UNKNOWN']);
  });

  test('restores the intact part of a damaged backup, and reports the rest', async () => {
    const tokens = [await issue('alice'), await issue('bob')];
    await stores.json('cache', 'snapshot', 's');
    await wipe();
    const [head = '', chunk = '', last = ''] = readFileSync(join(stores.home, 's'), 'utf8').split('\n');
    const restoring = (text: string) => stores.run('cache', 'restore', '-', '--json', { stdin: text });

    const changed = `${chunk.slice(0, -5)}${chunk.endsWith('AAAAA') ? 'BBBBB' : 'AAAAA'}`;
    const damaged = await restoring(`${[head, changed, last].join('\n')}\n`);
    expect([damaged.exitCode, damaged.json().restored, damaged.json().missed]).toEqual([
      ...[5, 0, [expect.stringContaining('Chunk 1 cannot be decrypted')]],
    ]);
    expect(damaged.stderr).toContain('Chunk 1 cannot be decrypted');
    const cut = await restoring(`${head}\n${chunk.slice(0, 50)}`);
    expect([cut.exitCode, cut.json()]).toEqual([
      5,
      expect.objectContaining({ restored: 0, complete: false }),
    ]);
    for (const token of tokens) expect(await refusal(token)).toBe('ERR_TOKEN_NOT_REGISTERED');

    const withoutLast = await restoring(`${head}\n${chunk}\n`);
    expect([withoutLast.exitCode, withoutLast.json()]).toEqual([
      ...[5, expect.objectContaining({ restored: 2, complete: false })],
    ]);
    for (const token of tokens) expect(await refusal(token)).toBeNull();

    for (const [text, exitCode, code] of [
      ['', 2, 'ERR_BACKUP_INVALID'],
      ['a,b,c\n', 2, 'ERR_BACKUP_INVALID'],
      [head.replace('"version":1', '"version":9'), 2, 'ERR_BACKUP_VERSION_UNSUPPORTED'],
      [head.replace(/"createdAt":\d+/, '"createdAt":1'), 3, 'ERR_DECRYPTION_FAILED'],
    ] as const) {
      const refused = await restoring(text);
      expect([refused.exitCode, refused.stdout, refused.error().code]).toEqual([exitCode, '', code]);
    }
    const absent = await stores.run('cache', 'restore', 'nowhere', '--json');
    expect([absent.exitCode, absent.error().code]).toEqual([2, 'ERR_FILE_UNREADABLE']);
  });

  test('records each changing command in the audit log, before and after', async () => {
    await issue('alice');
    await stores.json('cache', 'flush', '--sub', 'alice', '--kid', 'k1', '--backup', 'm', '--yes');
    await stores.json('cache', 'restore', 'm');
    await stores.json('cache', 'restore', 'm', '-n');
    await stores.json('cache', 'snapshot', 's');
    const rows = await stores.query(
      "SELECT action, target, outcome, reason FROM audit_log WHERE action LIKE 'cache.%' ORDER BY seq",
    );
    const file = join(stores.home, 'm');
    expect(rows.map(({ action, target, outcome, reason }) => [action, target, outcome, reason])).toEqual([
      ['cache.flush', 'alice, k1', 'begun', `backup ${file}`],
      ['cache.flush', 'alice, k1', 'done', `1 entry removed, backup ${file}`],
      ['cache.restore', 'm', 'begun', expect.stringMatching(/^backup of \d+ \((sqlite|redis-cluster .*)\)$/)],
      ['cache.restore', 'm', 'done', expect.stringContaining('1 of 1 entry restored')],
    ]);
  });
});
