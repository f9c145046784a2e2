import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKENDS, openStores, type Stores } from '../../../support/stores.js';

describe.each(BACKENDS)('keys publish on %s', (backend) => {
  let stores: Stores;
  let folder: string;

  beforeAll(async () => {
    stores = await openStores(backend);
    folder = join(stores.home, 'www');
    mkdirSync(folder);
  });
  afterAll(() => stores?.close());

  const file = () => join(folder, 'jwks.json');
  const read = () => JSON.parse(readFileSync(file(), 'utf8'));

  test('without keys, writes nothing: an empty set would refuse every token', async () => {
    await stores.run('db', 'migrate');
    const { exitCode, error } = await stores.run('keys', 'publish', file(), '--json');
    expect(exitCode).toBe(3);
    expect(error().code).toMatch(/ERR_NO_(KEYS|STORE)/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('writes the JWK Set, and again only when it has changed', async () => {
    const { kid } = await stores.json('keys', 'generate');
    const published = file();
    expect(await stores.json('keys', 'publish', file())).toEqual({ published, changed: true, keys: [kid] });
    expect(read()).toEqual(await stores.json('keys', 'export', '--jwks'));
    expect(statSync(file()).mode & 0o777).toBe(0o644);
    const { ino } = statSync(file());

    expect(await stores.json('keys', 'publish', file())).toEqual({ published, changed: false, keys: [kid] });
    expect(statSync(file()).ino).toBe(ino);

    const next = (await stores.json('keys', 'generate')).kid;
    const changed = await stores.json('keys', 'publish', file());
    expect([changed.changed, changed.keys.sort()]).toEqual([true, [kid, next].sort()]);
    expect(statSync(file()).ino).not.toBe(ino);
    expect(readdirSync(folder)).toEqual(['jwks.json']);
    expect(JSON.stringify(read())).not.toMatch(/"(d|p|q|dp|dq|qi)"/);
  });

  test('is readable for the web server, whatever the umask', async () => {
    const old = process.umask(0o077);
    try {
      writeFileSync(file(), '{}');
      chmodSync(file(), 0o600);
      await stores.json('keys', 'publish', file());
    } finally {
      process.umask(old);
    }
    expect(statSync(file()).mode & 0o777).toBe(0o644);
  });

  test('a dry run says what would change, and changes nothing', async () => {
    writeFileSync(file(), '{}');
    const outcome = await stores.json('keys', 'publish', file(), '--dry-run');
    expect(outcome).toMatchObject({ changed: false, dryRun: true, wouldChange: true });
    expect(readFileSync(file(), 'utf8')).toBe('{}');
  });

  test('refuses what is not a file, and leaves no draft behind', async () => {
    const link = join(folder, 'link.json');
    symlinkSync(file(), link);
    mkdirSync(join(folder, 'directory'));
    const before = readdirSync(folder);
    for (const path of [link, join(folder, 'directory'), '/dev/null', join(folder, 'missing', 'jwks.json')]) {
      const { exitCode, error } = await stores.run('keys', 'publish', path, '--json');
      expect({ path, exitCode, code: error().code }).toEqual({
        ...{ path, exitCode: 2, code: 'ERR_FILE_UNWRITABLE' },
      });
    }
    expect((await stores.run('keys', 'publish', '-', '--json')).exitCode).toBe(2);
    expect(readdirSync(folder)).toEqual(before);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
  });

  test('readers see a whole set while many runs replace it', async () => {
    const seen = new Set<string>();
    let isOver = false;
    const reading = (async () => {
      while (!isOver) {
        seen.add(readFileSync(file(), 'utf8'));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await stores.json('keys', 'publish', file());
    for (let round = 0; round < 3; round++) {
      await stores.json('keys', 'generate');
      await Promise.all([1, 2, 3].map(() => stores.json('keys', 'publish', file())));
    }
    isOver = true;
    await reading;
    for (const text of seen) expect(JSON.parse(text)).toEqual(expect.any(Object));
    expect(read()).toEqual(await stores.json('keys', 'export', '--jwks'));
  });
});
