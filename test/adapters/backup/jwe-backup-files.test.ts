import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { CompactEncrypt } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { JweBackupFiles } from '../../../src/adapters/backup/jwe-backup-files.js';
import { linesOf } from '../../../src/adapters/backup/lines.js';
import { systemClock } from '../../../src/app/clock.js';
import { createPrivateFile } from '../../../src/app/private-file.js';
import { readKeyringFile } from '../../../src/config/secrets/secret-files.js';
import type { BackupEntry, BackupFacts, BackupPart } from '../../../src/domain/ports/backup-file.js';
import type { ContentKeySealer } from '../../../src/domain/ports/index.js';
import { newSealer } from '../../support/sealer.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const FACTS: BackupFacts = { createdAt: 1_700_000_000, backend: 'redis-cluster', prefix: 'jwt' };
const KEYRING = randomBytes(32).toString('base64');

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let files = 0;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

function backupsUnder(keyring: string): JweBackupFiles {
  return new JweBackupFiles(newSealer({ kind: 'value', text: keyring }, systemClock));
}

function entry(jti: string, parts: Partial<BackupEntry> = {}): BackupEntry {
  return { sub: 'alice', kid: 'k1', jti, iat: 1_700_000_000, exp: 1_700_003_600, meta: null, ...parts };
}

/** Writes a backup with these chunks, and returns its text and file name. */
async function written(
  chunks: ReadonlyArray<readonly BackupEntry[]>,
  { end = true as boolean | null, facts = FACTS } = {},
): Promise<{ text: string; path: string }> {
  const file = createPrivateFile(`m${files++}`, folder.path);
  const writer = await backupsUnder(KEYRING).create(file, facts);
  for (const chunk of chunks) await writer.append(chunk);
  if (end === null) await writer.abandon();
  else await writer.finish(end);
  return { text: readFileSync(file.path, 'utf8'), path: file.path };
}

/** Reads all parts from pieces of `piece` bytes. */
async function read(text: string, { keyring = KEYRING, piece = 1000 } = {}): Promise<BackupPart[]> {
  const bytes = Buffer.from(text);
  async function* pieces() {
    for (let from = 0; from < bytes.length; from += piece) yield bytes.subarray(from, from + piece);
  }
  const reader = await backupsUnder(keyring).open(pieces(), 'm');
  const parts: BackupPart[] = [];
  for await (const part of reader.parts()) parts.push(part);
  return parts;
}

function entriesIn(parts: readonly BackupPart[]): BackupEntry[] {
  return parts.flatMap((part) => (part.kind === 'entries' ? part.entries : []));
}

function lostIn(parts: readonly BackupPart[]): string[] {
  return parts.flatMap((part) => (part.kind === 'lost' ? part.what : []));
}

const THREE = [[entry('a')], [entry('b')], [entry('c')]];

describe('a backup', () => {
  test('returns the entries chunk by chunk, from pieces of any size', async () => {
    const chunks = [
      [entry('a', { meta: { device: 'phone' } }), entry('b', { kid: null })],
      [entry('c', { sub: 'bob' })],
    ];
    const { text } = await written(chunks);
    for (const piece of [1, 7, 1_000_000]) {
      expect(await read(text, { piece })).toEqual(chunks.map((entries) => ({ kind: 'entries', entries })));
    }
  });

  test('without entries is complete', async () => {
    expect(await read((await written([])).text)).toEqual([]);
  });

  test('keeps every subject, jti, and meta unchanged', async () => {
    const hostile = fc.oneof(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'grapheme' }));
    const time = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    const anyEntry = fc.record({
      sub: hostile,
      kid: fc.option(fc.string()),
      jti: hostile,
      iat: time,
      exp: time,
      meta: fc.option(fc.dictionary(hostile, hostile, { noNullPrototype: true })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(anyEntry, { minLength: 1 }), { maxLength: 4 }), async (chunks) => {
        expect(await read((await written(chunks)).text)).toEqual(
          chunks.map((entries) => ({ kind: 'entries', entries })),
        );
      }),
      { numRuns: 50 },
    );
  });

  test('reveals nothing of its entries, and only its owner can read it', async () => {
    const secrets = {
      sub: 'mallory-subject',
      jti: 'mallory-jti',
      kid: 'mallory-kid',
      meta: { device: 'mallory-meta' },
    };
    const { text, path } = await written([[entry('a', secrets)]]);
    const [, ...sealed] = text.trimEnd().split('\n');
    const shown = [
      text,
      ...sealed.flatMap((line) => line.split('.').map((part) => Buffer.from(part, 'base64url').toString())),
    ];
    for (const form of shown) expect(form).not.toContain('mallory');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('starts with a header, followed by JWE lines that name their algorithms', async () => {
    const lines = (await written([[entry('a')]])).text.split('\n');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      ...{ format: 'jwtctl backup', version: 1, createdAt: 1_700_000_000 },
      ...{ backend: 'redis-cluster', prefix: 'jwt', key: expect.stringMatching(/^ey/) },
    });
    const headers = lines
      .slice(1, 3)
      .map((line) => JSON.parse(Buffer.from(line.split('.')[0] ?? '', 'base64url').toString()));
    expect(headers).toEqual([
      { alg: 'dir', enc: 'A256GCM', zip: 'DEF', chunk: 1 },
      { alg: 'dir', enc: 'A256GCM', zip: 'DEF', chunk: 2, last: true },
    ]);
    expect(lines.slice(3)).toEqual(['']);
  });
});

describe('an incomplete backup', () => {
  test('that was truncated anywhere returns its remaining entries', async () => {
    const { text } = await written(THREE);
    const ends = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
    for (let length = ends[0] ?? 0; length < text.length - 1; length += 37) {
      const parts = await read(text.slice(0, length));
      // The last character of a line is the newline, which may be missing.
      const whole = ends.filter((end) => end - 1 <= length).length - 1;
      expect(entriesIn(parts).map(({ jti }) => jti)).toEqual(['a', 'b', 'c'].slice(0, whole));
      expect(lostIn(parts)).toEqual([expect.stringContaining(`ends after chunk ${whole}`)]);
    }
    expect(lostIn(await read(text.trimEnd()))).toEqual([]);
  });

  test('of an interrupted run is reported', async () => {
    const parts = await read((await written(THREE, { end: false })).text);
    expect(entriesIn(parts)).toHaveLength(3);
    expect(lostIn(parts)).toEqual([expect.stringContaining('did not finish')]);
    expect(lostIn(await read((await written(THREE, { end: null })).text))).toEqual([
      expect.stringContaining('ends after chunk 3'),
    ]);
  });

  test('with a changed chunk is reported, and returns the others', async () => {
    const { text } = await written(THREE);
    const lines = text.split('\n');
    for (const part of [0, 2, 3, 4]) {
      const parts = String(lines[2]).split('.');
      const bytes = Buffer.from(parts[part] ?? '', 'base64url');
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      const changed = parts.with(part, bytes.toString('base64url')).join('.');
      const read_ = await read(lines.with(2, changed).join('\n'));
      expect(entriesIn(read_).map(({ jti }) => jti)).toEqual(['a', 'c']);
      expect(lostIn(read_)).toEqual([expect.stringContaining('Chunk 2 cannot be decrypted')]);
    }
  });

  test('with swapped, repeated, or missing chunks is reported', async () => {
    const [head = '', one = '', two = '', three = '', end = ''] = (await written(THREE)).text.split('\n');
    const told = async (...lines: string[]) => {
      const parts = await read(`${[head, ...lines].join('\n')}\n`);
      return [
        entriesIn(parts)
          .map(({ jti }) => jti)
          .join(),
        ...lostIn(parts),
      ];
    };
    expect(await told(one, three, two, end)).toEqual([
      'a,c',
      expect.stringContaining('Chunk 2 is missing'),
      expect.stringContaining('Chunk 2 is out of order'),
    ]);
    expect(await told(one, one, two, three, end)).toEqual([
      'a,b,c',
      expect.stringContaining('Chunk 1 is out of order'),
    ]);
    expect(await told(three, end)).toEqual(['c', expect.stringContaining('Chunks 1 to 2 are missing')]);
    expect(await told(one, two, end)).toEqual(['a,b', expect.stringContaining('Chunk 3 is missing')]);
    expect(await told(one, two, three, end, one)).toEqual([
      'a,b,c',
      expect.stringContaining('after its last line'),
    ]);
  });

  test('with a chunk of another file does not return it', async () => {
    const other = (await written([[entry('x')], [entry('y')]])).text.split('\n');
    const lines = (await written(THREE)).text.split('\n');
    const parts = await read(lines.with(2, other[2] ?? '').join('\n'));
    expect(entriesIn(parts).map(({ jti }) => jti)).toEqual(['a', 'c']);
    expect(lostIn(parts)).toEqual([expect.stringContaining('Chunk 2 cannot be decrypted')]);
  });

  test('with contents that jwtctl never writes is reported', async () => {
    const keys: Uint8Array[] = [];
    const open: ContentKeySealer = {
      sealContentKey: async (_file, key) => {
        keys.push(key);
        return 'sealed';
      },
      openContentKey: async () => keys[0] as Uint8Array,
    };
    const file = createPrivateFile('open', folder.path);
    await (await new JweBackupFiles(open).create(file, FACTS)).abandon();
    // jwtctl writes no such file, but a holder of the key could.
    const head = JSON.stringify({ format: 'jwtctl backup', version: 1, ...FACTS, key: 'sealed' });
    const line = (text: string | Buffer, header: object) =>
      new CompactEncrypt(Buffer.from(text))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header })
        .encrypt(keys[0] as Uint8Array);
    const lines = [
      await line(JSON.stringify(entry('a')), { chunk: 1 }),
      await line('{"sub":1}', { chunk: 2 }),
      await line('', { chunk: 3 }),
      await line('x'.repeat(70_000_000), { chunk: 4, zip: 'DEF' }),
      await line(JSON.stringify(entry('e')), { chunk: 5, zip: 'DEF' }),
      'z'.repeat(40_000_000),
      await line(JSON.stringify(entry('g')), { chunk: 7 }),
      await line('{}', { chunk: 8, last: true }),
    ];
    const reader = await new JweBackupFiles(open).open(
      (async function* () {
        yield Buffer.from(`${[head, ...lines].join('\n')}\n`);
      })(),
      'm',
    );
    const parts: BackupPart[] = [];
    for await (const part of reader.parts()) parts.push(part);
    expect(entriesIn(parts).map(({ jti }) => jti)).toEqual(['a', 'e', 'g']);
    expect(lostIn(parts)).toEqual([
      expect.stringContaining('Chunk 2 contains something'),
      expect.stringContaining('Chunk 3 contains something'),
      expect.stringContaining('Chunk 4 cannot be decrypted'),
      expect.stringContaining('Chunk 6 cannot be decrypted'),
      expect.stringContaining('did not finish'),
    ]);
  });
});

test('does not keep an overlong line in memory', async () => {
  async function* pieces() {
    yield* ['a\nlong', 'er than', ' ten\nb', '\n', '\nc'].map((text) => Buffer.from(text));
  }
  const lines: Array<[string, boolean]> = [];
  for await (const { text, isEnded } of linesOf(pieces(), 10)) lines.push([text, isEnded]);
  expect(lines).toEqual([
    ...[
      ['a', true],
      ['', true],
      ['b', true],
      ['', true],
      ['c', false],
    ],
  ]);
});

describe('input that is not a readable backup', () => {
  test.each(['', '\n', 'x', '{}', '[]', 'null', '{"format":"jwtctl backup","version":1}', '\0'.repeat(5000)])(
    'is refused: %j',
    async (text) => {
      await expect(read(text)).rejects.toMatchObject({ kind: 'usage', code: 'ERR_BACKUP_INVALID' });
    },
  );

  test('of a newer version is refused with the version', async () => {
    const text = (await written([])).text.replace('"version":1', '"version":2');
    await expect(read(text)).rejects.toMatchObject({
      ...{ kind: 'usage', code: 'ERR_BACKUP_VERSION_UNSUPPORTED' },
      message: expect.stringContaining('version 2'),
    });
  });

  test('under a master key that the keyring lacks is refused with its id', async () => {
    const { text } = await written(THREE);
    const other = randomBytes(32).toString('base64');
    await expect(read(text, { keyring: other })).rejects.toMatchObject({
      ...{ kind: 'state', code: 'ERR_MASTER_KEY_UNKNOWN' },
      message: expect.stringMatching(/mk-/),
    });
    expect(await read(text, { keyring: `${other}\n${KEYRING}` })).toHaveLength(3);
  });

  test.each([
    ['"createdAt":1700000000', '"createdAt":1700000001'],
    ['"backend":"redis-cluster"', '"backend":"sqlite"'],
    ['"prefix":"jwt"', '"prefix":"other"'],
  ])('whose header member %s was changed is refused', async (from, to) => {
    const text = (await written(THREE)).text.replace(from, to);
    await expect(read(text)).rejects.toMatchObject({ kind: 'state', code: 'ERR_DECRYPTION_FAILED' });
  });
});

describe('writing a backup', () => {
  test('refuses an existing file and leaves it unchanged', async () => {
    const { path, text } = await written(THREE);
    await expect(backupsUnder(KEYRING).create(createPrivateFile(path, '/'), FACTS)).rejects.toMatchObject({
      code: 'ERR_FILE_EXISTS',
    });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test('leaves no file without a master key', async () => {
    const file = join(folder.path, 'none');
    const read = (name: string) => readKeyringFile(name, { setting: 'masterKey.file' });
    const away = new JweBackupFiles(
      newSealer({ kind: 'file', file: join(folder.path, 'absent'), read }, systemClock),
    );
    await expect(away.create(createPrivateFile(file, '/'), FACTS)).rejects.toMatchObject({
      code: 'ERR_MASTER_KEY_MISSING',
    });
    expect(() => statSync(file)).toThrow('ENOENT');
  });

  test('abandoned, keeps the file only if it has entries', async () => {
    const empty = createPrivateFile('empty', folder.path);
    await (await backupsUnder(KEYRING).create(empty, FACTS)).abandon();
    expect(() => statSync(empty.path)).toThrow('ENOENT');
    expect((await written([[entry('a')]], { end: null })).text.split('\n')).toHaveLength(3);
  });

  test('ends with the last written chunk if the next one fails', async () => {
    const real = createPrivateFile('full', folder.path);
    let appended = 0;
    const full = {
      ...real,
      append: async (text: string) => {
        if (++appended !== 3) return real.append(text);
        await real.append(text.slice(0, 40));
        throw new Error('The disk is full.');
      },
    };
    const writer = await backupsUnder(KEYRING).create(full, FACTS);
    await writer.append([entry('a')]);
    await expect(writer.append([entry('b')])).rejects.toThrow('full');
    await writer.finish(false);
    const parts = await read(readFileSync(real.path, 'utf8'));
    expect(entriesIn(parts).map(({ jti }) => jti)).toEqual(['a']);
    expect(lostIn(parts)).toEqual([expect.stringContaining('ends after chunk 1')]);
  });
});
