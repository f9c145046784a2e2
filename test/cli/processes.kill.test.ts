import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type OpenVerifier, openIssuer, openVerifier, type SettingsInput } from '../../src/index.js';
import { temporaryFolder } from '../support/cli.js';
import { type Kill, planKills } from '../support/kills.js';
import { KILLS } from '../support/repetitions.js';
import { openedKeys, type SealedKey } from '../support/sealed-keys.js';
import { BACKENDS, openStores, type Stores, writeMasterKey } from '../support/stores.js';

const SUBJECTS = ['alice', 'bob', 'carol', 'dave'];
const TIMEOUT_MS = 60_000 + KILLS * 10_000;

describe.each(BACKENDS)('a command killed at any moment, on %s', { timeout: TIMEOUT_MS }, (backend) => {
  let keyring: string;
  let stores: Stores;
  let settings: SettingsInput;

  beforeEach(async () => {
    keyring = writeMasterKey(temporaryFolder());
    stores = await openStores(backend, { JWTCTL_MASTER_KEY_FILE: keyring });
    settings = settingsOf(stores);
    for (const sub of SUBJECTS) await stores.json('users', 'add', sub);
  });
  afterEach(() => stores?.close());

  test('keys rotate has rotated completely or not at all, and the next run rotates', async ({ annotate }) => {
    await json('keys', 'generate', '--count', '2');
    const words = ['keys', 'rotate', '--now'];
    const kills = await planKills(stores, words);
    const tally = new Tally();
    const tokens: string[] = [];
    for (const delayMs of kills.delaysMs) {
      tokens.push(...(await issue(SUBJECTS)));
      const before = await keysNow('before');
      const rotations = await auditRows('keys.rotate', 'active');
      const kill = await kills.kill(words, delayMs);

      const { where } = kill;
      const after = await keysNow(where);
      const isRotated = activeIn(after) !== activeIn(before);
      tally.add(kill, isRotated ? 'after the rotation' : 'before the rotation');
      // Each key has the next one's state or its own, in the order of age: a rotation is complete or has not happened.
      expect(statesOf(after), where).toEqual([...(isRotated ? ['retiring'] : []), ...statesOf(before)]);
      expect((await auditRows('keys.rotate', 'active')) - rotations, where).toBe(isRotated ? 1 : 0);
      expect(await refusals(tokens), where).toEqual([]);

      const next = await json(...words);
      expect(next, where).toMatchObject({ rotated: true, previous: activeIn(after) });
      expect(activeIn(await keysNow(where)), where).toBe(next.active);
      expect(await refusals(tokens), where).toEqual([]);
    }
    expect(tally.hits).toBeGreaterThan(0);
    await annotate(`${tally}; none of ${tokens.length} tokens refused`);
  });

  test('keys rewrap has moved some private keys, and the next run moves the others', async ({ annotate }) => {
    const count = 8;
    await json('keys', 'generate', '--count', String(count));
    const tokens = await issue(SUBJECTS);
    await json('keys', 'rotate', '--now');
    putMasterKeyFirst();
    const words = ['keys', 'rewrap'];
    const kills = await planKills(stores, words);
    const tally = new Tally();
    for (const delayMs of kills.delaysMs) {
      putMasterKeyFirst();
      const moves = await auditRows('keys.rewrap', 'done');
      const kill = await kills.kill(words, delayMs);

      const { where } = kill;
      const moved = (await keysNow(where)).filter((key) => key.isUnderFirst).length;
      tally.add(
        kill,
        { 0: 'before the first key', [count]: 'after the last key' }[moved] ?? 'between two keys',
      );
      expect((await auditRows('keys.rewrap', 'done')) - moves, where).toBe(moved);
      tokens.push((await json('token', 'issue', '--sub', 'alice')).token);
      expect(await refusals(tokens), where).toEqual([]);

      const next = await json(...words);
      expect(next.failed, where).toEqual([]);
      expect([next.rewrapped.length, next.unchanged.length], where).toEqual([count - moved, moved]);
      dropMasterKeysButFirst();
      const keys = await keysNow(where);
      expect(
        keys.map(({ isUnderFirst }) => isUnderFirst),
        where,
      ).toEqual(keys.map(() => true));
      tokens.push((await json('token', 'issue', '--sub', 'alice')).token);
      expect(await refusals(tokens), where).toEqual([]);
    }
    expect(tally.hits).toBeGreaterThan(0);
    await annotate(`${tally}; none of ${tokens.length} tokens refused`);
  });

  test('keys compromise has revoked all tokens of the key or none, and the next run removes every entry', async ({
    annotate,
  }) => {
    await json('keys', 'generate', '--count', '2');
    const others = await issue(SUBJECTS);
    await json('keys', 'rotate', '--now');
    const words = (kid: string) => ['keys', 'compromise', kid, '--reason', 'found in public', '--yes'];
    const kills = await planKills(stores, words(activeIn(await keysNow('before'))));
    const tally = new Tally();
    for (const delayMs of kills.delaysMs) {
      const leaked = activeIn(await keysNow('before'));
      const tokens = await issue([...SUBJECTS, ...SUBJECTS, ...SUBJECTS]);
      // A running verifier has the key in its cache and must learn of the change.
      const running = await openVerifier(settings);
      expect(await refusals(tokens, running)).toEqual([]);
      const kill = await kills.kill(words(leaked), delayMs);

      const { where } = kill;
      const after = await keysNow(where);
      const isRecorded = after.some(({ kid, state }) => kid === leaked && state === 'compromised');
      expect(await events(leaked), where).toBe(isRecorded ? 1 : 0);
      expect(activeIn(after) === leaked, where).toBe(!isRecorded);
      const refused = tokens.map(() => expect.stringMatching(/^ERR_(KEY_NOT_TRUSTED|TOKEN_REVOKED)$/));
      // It reads the log every second. Until then, entries left in the registry may be accepted.
      await expect
        .poll(() => refusals(tokens, running), { message: where, timeout: 5000 })
        .toEqual(isRecorded ? refused : []);
      expect(await refusals(tokens), where).toEqual(isRecorded ? refused : []);
      expect(await refusals(others), where).toEqual([]);

      const next = await json(...words(leaked));
      const done = { state: 'compromised', alreadyCompromised: isRecorded, complete: true };
      expect(next, where).toMatchObject({ ...done, entries: { after: 0 } });
      const left = next.entries.before === 0 ? 'with none of its entries left' : 'with entries left';
      tally.add(kill, isRecorded ? `after the record, ${left}` : 'before the record');
      expect(await events(leaked), where).toBe(1);
      const inspected = await json('cache', 'inspect', '--kid', leaked);
      expect(inspected, where).toMatchObject({ complete: true, entries: 0 });
      expect(await refusals(tokens), where).toEqual(refused);
      // All are refused from now on. The running verifier knows the reason after it reads the log again.
      expect(await refusals(tokens, running), where).toHaveLength(tokens.length);
      await expect.poll(() => refusals(tokens, running), { message: where, timeout: 5000 }).toEqual(refused);
      await running.close();
      const issued = await json('token', 'issue', '--sub', 'alice');
      expect(issued.kid, where).toBe(activeIn(await keysNow(where)));
      expect(await refusals([...others, issued.token]), where).toEqual([]);
    }
    expect(tally.hits).toBeGreaterThan(0);
    await annotate(String(tally));
  });

  /** Runs one command in this process at the host's time, which the killed command used, too. */
  // biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
  async function json(...words: string[]): Promise<any> {
    await stores.clock.until(Math.floor(Date.now() / 1000));
    return stores.json(...words);
  }

  async function issue(subjects: readonly string[]): Promise<string[]> {
    const issuer = await openIssuer(settings);
    try {
      return await Promise.all(subjects.map(async (sub) => (await issuer.issue({ sub })).token));
    } finally {
      await issuer.close();
    }
  }

  /** Returns the codes of the refused tokens, from this verifier or a new one. */
  async function refusals(tokens: readonly string[], running?: OpenVerifier): Promise<string[]> {
    const verifier = running ?? (await openVerifier(settings));
    try {
      const results = await Promise.all(tokens.map((token) => verifier.verify(token)));
      return results.flatMap((result) => (result.active ? [] : [result.error.code]));
    } finally {
      if (running === undefined) await verifier.close();
    }
  }

  function keysNow(where: string): Promise<SealedKey[]> {
    return openedKeys(stores, keyring, where);
  }

  async function auditRows(action: string, outcome: string): Promise<number> {
    return count('FROM audit_log WHERE action = ? AND outcome = ?', action, outcome);
  }

  async function events(kid: string): Promise<number> {
    return count("FROM security_log WHERE type = 'key_compromised' AND kid = ?", kid);
  }

  async function count(from: string, ...parameters: string[]): Promise<number> {
    const [row] = await stores.query(`SELECT COUNT(*) AS count ${from}`, parameters);
    return Number(row?.count);
  }

  function putMasterKeyFirst(): void {
    writeFileSync(keyring, `${randomBytes(32).toString('base64')}\n${firstMasterKey()}\n`);
  }

  function dropMasterKeysButFirst(): void {
    writeFileSync(keyring, `${firstMasterKey()}\n`);
  }

  function firstMasterKey(): string {
    return String(readFileSync(keyring, 'utf8').split('\n')[0]);
  }
});

/** Counts the moments of the kills. */
class Tally {
  readonly #counts = new Map<string, number>();
  hits = 0;

  add({ isHit }: Kill, where: string): void {
    this.hits += Number(isHit);
    const place = isHit ? `killed ${where}` : 'ended before it was to be killed';
    this.#counts.set(place, (this.#counts.get(place) ?? 0) + 1);
  }

  toString(): string {
    return [...this.#counts].map(([place, count]) => `${count} ${place}`).join(', ');
  }
}

function statesOf(keys: readonly SealedKey[]): string[] {
  return keys.map(({ state }) => state);
}

function activeIn(keys: readonly SealedKey[]): string {
  return String(keys.find(({ state }) => state === 'active')?.kid);
}

function settingsOf({ env, home }: Stores): SettingsInput {
  const { JWTCTL_MYSQL_URL: url, JWTCTL_REDIS_NODES: nodes, JWTCTL_REDIS_PREFIX: prefix } = env;
  const masterKey = { file: String(env.JWTCTL_MASTER_KEY_FILE) };
  if (url === undefined || nodes === undefined || prefix === undefined)
    return { data: join(home, 'data', 'jwtctl', 'jwtctl.db'), masterKey };
  return { mysql: { url }, redis: { nodes, prefix }, masterKey };
}
