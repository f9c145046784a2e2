import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertUser } from '../support/existing-user.js';
import { HOSTILE_SUBJECTS as SUBJECTS } from '../support/hostile-subjects.js';
import { BACKENDS, openStores, type Stores } from '../support/stores.js';

const UNUSABLE = [
  { what: 'empty', sub: '' },
  { what: '256 bytes', sub: 'x'.repeat(256) },
  { what: '128 characters of two bytes', sub: 'é'.repeat(128) },
  { what: 'a replacement character', sub: 'a\uFFFDb' },
  { what: 'a lone surrogate', sub: 'a\uD800b' },
  ...['\0', '\n', '\t', '\r', '\u001b[31m', '\u007f', '\u0085'].map((character) => ({
    what: `the control character ${JSON.stringify(character)}`,
    sub: `a${character}b`,
  })),
];

describe.each(BACKENDS)('subjects with special characters, on %s', (backend) => {
  let stores: Stores;
  const tokens = new Map<string, { token: string; jti: string }[]>();

  beforeAll(async () => {
    stores = await openStores(backend);
    await stores.json('keys', 'generate');
    for (const sub of SUBJECTS) await addUser(sub);
    for (const sub of SUBJECTS) {
      const words = ['token', 'issue', `--sub=${sub}`, '--meta', `device=of ${sub.length}`];
      tokens.set(sub, [await stores.json(...words), await stores.json(...words)]);
    }
  });
  afterAll(() => stores?.close());

  // After `--` every word is an argument, so flags must come before it.
  async function addUser(sub: string) {
    if (sub !== sub.trim()) return insertUser(stores, sub);
    const { exitCode, stdout, stderr } = await stores.run('users', 'add', '--json', '--', sub);
    expect({ sub, exitCode, stderr }).toEqual({
      ...{ sub, exitCode: 0 },
      stderr: expect.stringMatching(/^(Warning: The value of SUB has quotes around it.*\n)?$/),
    });
    expect(JSON.parse(stdout).sub).toBe(sub);
  }

  function jtisOf(sub: string): string[] {
    return (tokens.get(sub) ?? []).map(({ jti }) => jti).sort();
  }

  async function listed(sub: string): Promise<string[]> {
    const entries = await stores.json('token', 'list', `--sub=${sub}`);
    for (const entry of entries) expect(entry).toMatchObject({ sub, meta: { device: `of ${sub.length}` } });
    return entries.map((entry: { jti: string }) => entry.jti).sort();
  }

  test('are different users', async () => {
    const subs = (await stores.json('users', 'list')).map((user: { sub: string }) => user.sub);
    expect(subs.sort()).toEqual([...SUBJECTS].sort());
    for (const sub of SUBJECTS) {
      const shown = await stores.run('users', 'show', '--json', '--', sub);
      expect(shown.json().sub).toBe(sub);
    }
  });

  test('each list only their own tokens', async () => {
    for (const sub of SUBJECTS) expect({ sub, jtis: await listed(sub) }).toEqual({ sub, jtis: jtisOf(sub) });
  });

  test('have tokens that verify and contain the right subject', async () => {
    for (const sub of SUBJECTS) {
      const { token } = tokens.get(sub)?.[0] ?? { token: '' };
      expect((await stores.json('token', 'verify', token)).payload.sub).toBe(sub);
      expect((await stores.json('token', 'decode', token)).payload.sub).toBe(sub);
    }
  });

  test('appear under their names in the registry', async () => {
    const report = await stores.json('cache', 'inspect', '--top', '1000');
    const named = report.topSubjects.map((row: { sub: string }) => row.sub);
    expect(named.sort()).toEqual([...SUBJECTS].sort());
    expect(report).toMatchObject({ entries: 2 * SUBJECTS.length, anomalies: { malformed: 0 } });
  });

  test('get their own tokens back from a backup', async () => {
    const flushed = await stores.json('cache', 'flush', '--all', '--backup', 'm', '--yes');
    expect(flushed).toMatchObject({ removed: 2 * SUBJECTS.length, subjects: SUBJECTS.length });
    expect((await stores.json('cache', 'inspect')).entries).toBe(0);
    expect(await stores.json('cache', 'restore', 'm')).toMatchObject({ restored: 2 * SUBJECTS.length });
    for (const sub of SUBJECTS) expect({ sub, jtis: await listed(sub) }).toEqual({ sub, jtis: jtisOf(sub) });
  });

  test('are disabled one by one', async () => {
    for (const sub of ['*', 'alice', '%', '__proto__', 'a}b{c', "' OR 1=1 --"]) {
      await stores.run('users', 'disable', '--', sub);
      const disabled = (await stores.json('users', 'list')).filter(
        (user: { status: string }) => user.status === 'disabled',
      );
      expect(disabled.map((user: { sub: string }) => user.sub)).toEqual([sub]);
      await stores.run('users', 'enable', '--', sub);
    }
  });

  test('flush and revoke only their own tokens', async () => {
    const remaining = new Set(SUBJECTS);
    for (const [index, sub] of SUBJECTS.entries()) {
      const [first] = tokens.get(sub) ?? [];
      const one = await stores.json('token', 'revoke', `--sub=${sub}`, `--jti=${first?.jti}`);
      expect({ sub, revoked: one.revoked }).toEqual({ sub, revoked: 1 });
      if (index % 2 === 0) {
        expect(await stores.json('token', 'revoke', `--sub=${sub}`, '--all', '--yes')).toMatchObject({
          revoked: 1,
        });
      } else {
        expect(await stores.json('cache', 'flush', `--sub=${sub}`, '--yes')).toMatchObject({ removed: 1 });
      }
      remaining.delete(sub);
      expect(await listed(sub)).toEqual([]);
      const report = await stores.json('cache', 'inspect', '--top', '0');
      expect({ after: sub, entries: report.entries }).toEqual({ after: sub, entries: 2 * remaining.size });
    }
  });

  test('are removed one by one', async () => {
    for (const [index, sub] of SUBJECTS.entries()) {
      expect((await stores.run('users', 'remove', '--yes', '--', sub)).exitCode).toBe(0);
      expect(await stores.json('users', 'list')).toHaveLength(SUBJECTS.length - index - 1);
    }
  });

  test.each(UNUSABLE)('a subject with $what is refused', async ({ sub }) => {
    for (const words of [
      ['users', 'add', '--json', '--', sub],
      ['users', 'show', '--json', '--', sub],
      ['users', 'disable', '--json', '--', sub],
      ['users', 'remove', '--yes', '--json', '--', sub],
      ['token', 'issue', '--json', `--sub=${sub}`, '--create-user'],
      ['token', 'list', '--json', `--sub=${sub}`],
      ['token', 'revoke', '--json', `--sub=${sub}`, '--all', '--yes'],
      ['cache', 'flush', '--json', `--sub=${sub}`, '--yes'],
      ['cache', 'inspect', '--json', `--sub=${sub}`],
    ]) {
      const { exitCode, stdout, error } = await stores.run(...words);
      expect({ words, exitCode, stdout, code: error().code }).toEqual({
        ...{ words, exitCode: 2, stdout: '', code: 'ERR_SUBJECT_INVALID' },
      });
    }
    expect(await stores.json('users', 'list')).toEqual([]);
  });
});
