import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CompactEncrypt, decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JweSealer } from '../../../src/adapters/sealing/jwe-sealer.js';
import { parseKeyring } from '../../../src/adapters/sealing/keyring.js';
import { systemClock } from '../../../src/app/clock.js';
import { readKeyringFile } from '../../../src/config/secrets/secret-files.js';
import type { Clock } from '../../../src/domain/ports/index.js';
import { ManualClock } from '../../support/clock.js';
import { runAtOnce } from '../../support/processes.js';
import { newSealer, runKeyringCommand } from '../../support/sealer.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const PKCS8 = Buffer.from('a private key in PKCS #8');
const ONE = newMasterKey();
const TWO = newMasterKey();

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

function newMasterKey(): string {
  return randomBytes(32).toString('base64');
}

function withKeyring(...lines: string[]): JweSealer {
  return newSealer({ kind: 'value', text: lines.join('\n') }, systemClock);
}

function idOf(masterKey: string): string {
  return parseKeyring(masterKey, 'the test')[0].id;
}

const read = (file: string) => readKeyringFile(file, { setting: 'masterKey.file' });

function inFile(file: string, clock: Clock = systemClock): JweSealer {
  return newSealer({ kind: 'file', file, read }, clock);
}

async function keyringFile(text: string, mode = 0o600): Promise<string> {
  const file = join(folder.path, 'master.key');
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string; hint?: string }> {
  return promise.then(
    () => expect.unreachable('it did not reject'),
    (error) => error,
  );
}

describe('sealing', () => {
  test('opens what it sealed, byte for byte', async () => {
    const sealer = withKeyring(ONE);
    for (const pkcs8 of [PKCS8, randomBytes(2400), Buffer.from([0, 255, 0])]) {
      const { sealed } = await sealer.seal('k1', pkcs8);
      expect(Buffer.from(await withKeyring(ONE).open('k1', sealed))).toEqual(pkcs8);
    }
  });

  test('the header names the algorithms, the master key, and the kid', async () => {
    const { sealed, masterKeyId } = await withKeyring(ONE).seal('k1', PKCS8);
    expect(decodeProtectedHeader(sealed)).toEqual({
      alg: 'dir',
      enc: 'A256GCM',
      kid: masterKeyId,
      seals: 'k1',
    });
    expect(masterKeyId).toBe(idOf(ONE));
  });

  test('the JWE reveals neither the private key nor the master key', async () => {
    const { sealed, masterKeyId } = await withKeyring(ONE).seal('k1', PKCS8);
    const bytes = Buffer.concat(sealed.split('.').map((part) => Buffer.from(part, 'base64url')));
    expect(bytes.includes(PKCS8)).toBe(false);
    expect(bytes.includes(Buffer.from(ONE, 'base64'))).toBe(false);
    const plainDigest = createHash('sha256').update(Buffer.from(ONE, 'base64')).digest('hex');
    expect(plainDigest).not.toContain(masterKeyId.replace('mk-', ''));
  });

  test('seals the same private key differently each time', async () => {
    const sealer = withKeyring(ONE);
    const [first, second] = [await sealer.seal('k1', PKCS8), await sealer.seal('k1', PKCS8)];
    expect(first.sealed).not.toBe(second.sealed);
  });

  test('refuses a JWE that was moved to another row', async () => {
    const sealer = withKeyring(ONE);
    const { sealed } = await sealer.seal('k1', PKCS8);
    for (const kid of ['k2', 'K1', 'k1 ', '']) {
      await expect(sealer.open(kid, sealed)).rejects.toMatchObject({
        kind: 'state',
        code: 'ERR_DECRYPTION_FAILED',
      });
    }
  });

  test('opens a content key only for its file, and never as a private key', async () => {
    const sealer = withKeyring(ONE);
    const key = randomBytes(32);
    const sealed = await sealer.sealContentKey('backup 1', key);
    expect(Buffer.from(await withKeyring(TWO, ONE).openContentKey('backup 1', sealed))).toEqual(key);

    const half = await sealer.seal('backup', PKCS8);
    for (const attempt of [
      sealer.openContentKey('backup 2', sealed),
      sealer.openContentKey('backup', half.sealed),
      sealer.open('backup 1', sealed),
    ]) {
      await expect(attempt).rejects.toMatchObject({ kind: 'state', code: 'ERR_DECRYPTION_FAILED' });
    }
    const { code, message } = await errorOf(withKeyring(TWO).openContentKey('backup 1', sealed));
    expect(code).toBe('ERR_MASTER_KEY_UNKNOWN');
    expect(message).toContain(idOf(ONE));
  });

  test('refuses a JWE whose header was changed to match another row', async () => {
    const sealer = withKeyring(ONE);
    const { sealed, masterKeyId } = await sealer.seal('k1', PKCS8);
    const [, ...rest] = sealed.split('.');
    const header = { alg: 'dir', enc: 'A256GCM', kid: masterKeyId, seals: 'k2' };
    const forged = [Buffer.from(JSON.stringify(header)).toString('base64url'), ...rest].join('.');
    await expect(sealer.open('k2', forged)).rejects.toMatchObject({ code: 'ERR_DECRYPTION_FAILED' });
  });

  test('refuses a JWE with any changed part', async () => {
    const sealer = withKeyring(ONE);
    const { sealed } = await sealer.seal('k1', PKCS8);
    const parts = sealed.split('.');
    for (const index of [2, 3, 4]) {
      const bytes = Buffer.from(parts[index] ?? '', 'base64url');
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      const broken = parts.with(index, bytes.toString('base64url')).join('.');
      await expect(sealer.open('k1', broken)).rejects.toMatchObject({ code: 'ERR_DECRYPTION_FAILED' });
    }
  });

  test.each(['', 'x', 'a.b.c.d.e', '....', '{}', '-----BEGIN PRIVATE KEY-----'])(
    'what is no JWE does not open: %j',
    async (text) => {
      await expect(withKeyring(ONE).open('k1', text)).rejects.toMatchObject({
        code: 'ERR_DECRYPTION_FAILED',
      });
    },
  );

  test('refuses a JWE with other algorithms, even under the right master key', async () => {
    const secret = Buffer.from(ONE, 'base64');
    const header = { kid: idOf(ONE), seals: 'k1' };
    const wrapped = await new CompactEncrypt(PKCS8)
      .setProtectedHeader({ ...header, alg: 'A256KW', enc: 'A256GCM' })
      .encrypt(secret);
    const otherEncryption = await new CompactEncrypt(PKCS8)
      .setProtectedHeader({ ...header, alg: 'dir', enc: 'A128CBC-HS256' })
      .encrypt(secret);
    for (const sealed of [wrapped, otherEncryption]) {
      await expect(withKeyring(ONE).open('k1', sealed)).rejects.toMatchObject({
        code: 'ERR_DECRYPTION_FAILED',
      });
    }
  });
});

describe('a keyring', () => {
  test('seals with the first key and opens with every key', async () => {
    const before = await withKeyring(ONE).seal('k1', PKCS8);
    const both = withKeyring(TWO, ONE);
    const after = await both.seal('k1', PKCS8);
    expect(after.masterKeyId).toBe(idOf(TWO));
    expect(Buffer.from(await both.open('k1', before.sealed))).toEqual(PKCS8);
    expect(Buffer.from(await both.open('k1', after.sealed))).toEqual(PKCS8);
  });

  test('without the master key is reported with the missing and the present ids', async () => {
    const { sealed } = await withKeyring(ONE).seal('k1', PKCS8);
    const error = await errorOf(withKeyring(TWO).open('k1', sealed));
    expect(error).toMatchObject({ kind: 'state', code: 'ERR_MASTER_KEY_UNKNOWN' });
    expect(error.message).toContain(idOf(ONE));
    expect(error.message).toContain('k1');
    expect(error.hint).toContain(idOf(TWO));
  });

  test('may have comments, empty lines, spaces, CRLF, base64url, and no padding', () => {
    const url = Buffer.from(TWO, 'base64').toString('base64url');
    const text = `# first\r\n\r\n  ${ONE}  \r\n# second\n${url}\n\n`;
    expect(parseKeyring(text, 'the test').map(({ id }) => id)).toEqual([idOf(ONE), idOf(TWO)]);
  });

  const BAD = [
    ...[ONE.slice(1), `${ONE}A`, `${ONE} ${TWO}`, `key=${ONE}`, 'hunter2', ONE.replace(/^./, '!')],
    ...[
      randomBytes(16).toString('base64'),
      randomBytes(64).toString('base64'),
      randomBytes(32).toString('hex'),
    ],
  ];
  test.each(BAD)(
    'with an invalid line is refused with the line number, without its content',
    async (line) => {
      const error = await errorOf(withKeyring('# a comment', ONE, line).seal('k1', PKCS8));
      expect(error).toMatchObject({ kind: 'usage', code: 'ERR_MASTER_KEY_INVALID' });
      expect(error.message).toContain('Line 3 ');
      for (const text of [error.message, error.hint, JSON.stringify(error)]) {
        expect(text).not.toContain(line);
        expect(text).not.toContain(ONE);
      }
    },
  );

  test.each(['', '\n\n', '# only a comment\n'])('without any master key is refused: %j', async (text) => {
    await expect(withKeyring(text).seal('k1', PKCS8)).rejects.toMatchObject({
      kind: 'usage',
      code: 'ERR_MASTER_KEY_INVALID',
    });
  });
});

test('escapes a forged master key id for the terminal', async () => {
  const sealed = await new CompactEncrypt(PKCS8)
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: '\u001b[2J', seals: 'k1' })
    .encrypt(Buffer.from(TWO, 'base64'));
  const error = await errorOf(withKeyring(ONE).open('k1', sealed));
  expect(error.code).toBe('ERR_MASTER_KEY_UNKNOWN');
  expect(error.message).not.toContain('\u001b');
});

describe('a keyring in a file', () => {
  test('is read once, at the first use', async () => {
    const file = join(folder.path, 'master.key');
    const sealer = inFile(file);
    await keyringFile(`${ONE}\n`);
    const { sealed } = await sealer.seal('k1', PKCS8);
    await keyringFile(`${TWO}\n`);
    expect(Buffer.from(await sealer.open('k1', sealed))).toEqual(PKCS8);
  });

  test('is read again for a new master key, but not repeatedly', async () => {
    const clock = new ManualClock();
    const sealer = inFile(await keyringFile(`${ONE}\n`), clock);
    const { sealed } = await withKeyring(TWO).seal('k1', PKCS8);
    const isUnknown = () =>
      expect(sealer.open('k1', sealed)).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_UNKNOWN' });

    await isUnknown();
    await keyringFile(`${ONE}\n${TWO}\n`);
    await isUnknown();
    clock.advance(1);
    expect(Buffer.from(await sealer.open('k1', sealed))).toEqual(PKCS8);
    // The first line still seals.
    expect(await sealer.sealingKeyId()).toBe(idOf(ONE));
  });

  test('is read again even if the clock was set back', async () => {
    const clock = new ManualClock();
    const sealer = inFile(await keyringFile(`${ONE}\n`), clock);
    await sealer.sealingKeyId();
    const { sealed } = await withKeyring(TWO).seal('k1', PKCS8);
    await keyringFile(`${ONE}\n${TWO}\n`);
    clock.advance(-3_600);
    expect(Buffer.from(await sealer.open('k1', sealed))).toEqual(PKCS8);
  });

  test('that becomes unreadable is reported, and known keys still open', async () => {
    const clock = new ManualClock();
    const file = await keyringFile(`${ONE}\n`);
    const sealer = inFile(file, clock);
    const [known, other] = [await sealer.seal('k1', PKCS8), await withKeyring(TWO).seal('k2', PKCS8)];
    await rm(file);
    clock.advance(1);
    await expect(sealer.open('k2', other.sealed)).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_MISSING' });
    expect(Buffer.from(await sealer.open('k1', known.sealed))).toEqual(PKCS8);
  });

  test('that is missing is reported with the file, the key, and its master key', async () => {
    const { sealed } = await withKeyring(ONE).seal('k1', PKCS8);
    const file = join(folder.path, 'none.key');
    const error = await errorOf(inFile(file).open('k1', sealed));
    expect(error).toMatchObject({ kind: 'state', code: 'ERR_MASTER_KEY_MISSING' });
    for (const name of [file, 'k1', idOf(ONE)]) expect(error.message).toContain(name);
  });

  test('is never created', async () => {
    const file = join(folder.path, 'none.key');
    await expect(inFile(file).seal('k1', PKCS8)).rejects.toMatchObject({
      code: 'ERR_MASTER_KEY_MISSING',
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  test.each([0o620, 0o602, 0o666])('is refused if other users can write to it (mode %o)', async (mode) => {
    const file = await keyringFile(`${ONE}\n`, mode);
    await expect(inFile(file).seal('k1', PKCS8)).rejects.toMatchObject({
      kind: 'usage',
      code: 'ERR_CONFIG_FILE_UNSAFE',
    });
  });

  test.each([0o600, 0o400, 0o640])('is used if other users can at most read it (mode %o)', async (mode) => {
    const file = await keyringFile(`${ONE}\n`, mode);
    expect((await inFile(file).seal('k1', PKCS8)).masterKeyId).toBe(idOf(ONE));
  });

  test('that is a folder is refused like a missing one', async () => {
    const file = join(folder.path, 'folder');
    await mkdir(file, { mode: 0o700 });
    await expect(inFile(file).seal('k1', PKCS8)).rejects.toMatchObject({
      code: 'ERR_MASTER_KEY_MISSING',
    });
  });

  test("with an invalid line is refused with the file's name", async () => {
    const file = await keyringFile('hunter2');
    const error = await errorOf(inFile(file).seal('k1', PKCS8));
    expect(error.message).toContain(file);
    expect(error.message).not.toContain('hunter2');
  });
});

describe('a keyring from a command', () => {
  const from = (command: string, timeoutMs = 10_000) =>
    newSealer({ kind: 'command', run: () => runKeyringCommand(command, timeoutMs) }, systemClock);

  test('is the output of the command', async () => {
    const sealer = from(`echo '${ONE}' | cat && echo '${TWO}'`);
    const { sealed, masterKeyId } = await sealer.seal('k1', PKCS8);
    expect(masterKeyId).toBe(idOf(ONE));
    expect(Buffer.from(await sealer.open('k1', sealed))).toEqual(PKCS8);
  });

  test('runs the command once, also for concurrent uses', async () => {
    const calls = join(folder.path, 'calls');
    const sealer = from(`echo call >> '${calls}'; echo '${ONE}'`);
    await Promise.all(Array.from({ length: 8 }, (_, index) => sealer.seal(`k${index}`, PKCS8)));
    expect(await readFile(calls, 'utf8')).toBe('call\n');
  });

  test('runs the command again after a failure', async () => {
    const isUp = join(folder.path, 'is-up');
    const sealer = from(`test -e '${isUp}' && echo '${ONE}'`);
    await expect(sealer.seal('k1', PKCS8)).rejects.toMatchObject({ code: 'ERR_MASTER_KEY_COMMAND_FAILED' });
    await writeFile(isUp, '');
    expect((await sealer.seal('k1', PKCS8)).masterKeyId).toBe(idOf(ONE));
  });

  const SECRET = 's3cr3t-output';
  test.each([
    { name: 'ends with a status', command: `echo ${SECRET}; echo ${SECRET} >&2; exit 3`, says: 'status 3' },
    { name: 'does not end in time', command: `echo ${SECRET}; exec sleep 60`, says: '200 ms' },
    {
      name: 'does not end in time, nor its children',
      command: `echo ${SECRET}; sleep 60; true`,
      says: '200 ms',
    },
    { name: 'does not exist', command: `/nowhere/${SECRET}`, says: 'status 127' },
    { name: 'kills itself', command: `echo ${SECRET}; kill -9 $$`, says: 'could not be run' },
    { name: 'prints without end', command: `yes ${SECRET}`, says: 'more than 65536 bytes' },
    {
      name: 'prints too much and ends',
      command: `yes ${SECRET} | head -c 70000`,
      says: 'more than 65536 bytes',
    },
  ])('that $name is reported without its command line or output', async ({ command, says }) => {
    const error = await errorOf(from(command, says === '200 ms' ? 200 : 10_000).seal('k1', PKCS8));
    expect(error).toMatchObject({ kind: 'unavailable', code: 'ERR_MASTER_KEY_COMMAND_FAILED' });
    expect(error.message).toContain(says);
    const shown = [error.message, error.hint, error.stack, JSON.stringify(error), String(error.cause)].join();
    expect(shown).not.toContain(SECRET);
  });

  // Each surviving process keeps the pipe open, so its reader ends only once all of them are gone.
  test.each([
    ['a child of the shell', 'sleep 60; true', 'did not finish within'],
    ['a job in the background', 'sleep 60 & wait', 'did not finish within'],
    ['an orphan that holds the output', '(sleep 60 &)', 'did not finish within'],
    ['a job beside one that prints too much', 'sleep 60 & yes', 'more than 65536 bytes'],
  ])('leaves no process running when it fails: %s', async (_, command, says) => {
    const pipe = join(folder.path, 'pipe');
    await promisify(execFile)('/bin/sh', ['-c', 'mkfifo "$0"', pipe]);
    const reader = open(pipe, 'r');
    const failed = errorOf(from(`exec 3> '${pipe}'; ${command}`, 2_000).seal('k1', PKCS8));
    const handle = await reader;
    expect((await failed).message).toContain(says);
    expect(await handle.readFile('utf8')).toBe('');
    await handle.close();
  });

  test('may leave a daemon running when it succeeds', async () => {
    const pipe = join(folder.path, 'pipe');
    await promisify(execFile)('/bin/sh', ['-c', 'mkfifo "$0"', pipe]);
    const reader = open(pipe, 'r');
    const daemon = `(cat '${pipe}.go'; echo alive) > '${pipe}'`;
    await promisify(execFile)('/bin/sh', ['-c', 'mkfifo "$0"', `${pipe}.go`]);
    await from(`${daemon} & echo '${ONE}'`).seal('k1', PKCS8);
    const handle = await reader;
    await writeFile(`${pipe}.go`, '');
    expect(await handle.readFile('utf8')).toBe('alive\n');
    await handle.close();
  });

  test('with invalid output is refused without showing it', async () => {
    const error = await errorOf(from(`echo ${SECRET}`).seal('k1', PKCS8));
    expect(error).toMatchObject({ code: 'ERR_MASTER_KEY_INVALID' });
    expect([error.message, error.hint, error.stack].join()).not.toContain(SECRET);
  });

  test('that reads its input gets none', async () => {
    expect((await from(`cat; echo '${ONE}'`).seal('k1', PKCS8)).masterKeyId).toBe(idOf(ONE));
  });
});

describe('the embedded keyring', () => {
  function embedded(options: { mayCreate?: boolean; file?: string } = {}) {
    const created: string[] = [];
    const file = options.file ?? join(folder.path, 'data', 'jwtctl.db.master-key');
    const sealer = newSealer(
      {
        kind: 'embedded',
        file,
        read,
        mayCreate: async () => options.mayCreate ?? true,
        onCreated: (made) => created.push(made),
      },
      systemClock,
    );
    return { sealer, file, created };
  }

  test('is created at the first use, only for its owner, and reported', async () => {
    const { sealer, file, created } = embedded();
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    const { masterKeyId } = await sealer.seal('k1', PKCS8);
    expect(created).toEqual([file]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, 'data'))).mode & 0o777).toBe(0o700);
    expect(parseKeyring(await readFile(file, 'utf8'), file).map(({ id }) => id)).toEqual([masterKeyId]);
    expect(await readdir(join(folder.path, 'data'))).toEqual(['jwtctl.db.master-key']);
  });

  test('is used unchanged if it exists', async () => {
    const file = await keyringFile(`${ONE}\n`);
    const { sealer, created } = embedded({ file });
    expect((await sealer.seal('k1', PKCS8)).masterKeyId).toBe(idOf(ONE));
    expect(created).toEqual([]);
    expect(await readFile(file, 'utf8')).toBe(`${ONE}\n`);
  });

  test('is not created if keys are sealed under another one', async () => {
    const { sealer, file, created } = embedded({ mayCreate: false });
    await expect(sealer.seal('k1', PKCS8)).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_MASTER_KEY_MISSING',
    });
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(created).toEqual([]);
  });

  test.each([
    { name: 'whose folder cannot be made', place: ['a-file', 'keys', 'master-key'], code: 'ENOTDIR' },
    { name: 'whose folder is a file', place: ['a-file', 'master-key'], code: 'EEXIST' },
    { name: 'whose draft cannot be written', place: ['x'.repeat(250)], code: 'ENAMETOOLONG' },
    { name: 'in a folder that takes no files', place: ['/proc', 'master-key'], code: 'ENOENT' },
  ])('$name is reported with the file and a setting to use instead', async ({ place, code }) => {
    await writeFile(join(folder.path, 'a-file'), '');
    const file = place[0]?.startsWith('/') ? join(...place) : join(folder.path, ...place);
    const { sealer, created } = embedded({ file });
    const error = await errorOf(sealer.seal('k1', PKCS8));
    expect(error).toMatchObject({ kind: 'usage', code: 'ERR_MASTER_KEY_UNWRITABLE' });
    for (const text of [file, code]) expect(error.message).toContain(text);
    for (const text of ['masterKey.file', 'JWTCTL_MASTER_KEY_FILE']) expect(error.hint).toContain(text);
    expect(created).toEqual([]);
    expect(await readdir(folder.path)).toEqual(['a-file']);
  });

  test('is the same for 16 concurrent first uses', async () => {
    const all = Array.from({ length: 16 }, () => embedded());
    const sealed = await Promise.all(all.map(({ sealer }) => sealer.seal('k1', PKCS8)));
    expect(new Set(sealed.map(({ masterKeyId }) => masterKeyId)).size).toBe(1);
    expect(all.flatMap(({ created }) => created)).toHaveLength(1);
    for (const one of sealed) {
      expect(Buffer.from(await embedded().sealer.open('k1', one.sealed))).toEqual(PKCS8);
    }
    expect(await readdir(join(folder.path, 'data'))).toEqual(['jwtctl.db.master-key']);
  });

  test('is the same for 8 processes that first use it at once', async () => {
    const file = join(folder.path, 'data', 'master-key');
    const outputs = await runAtOnce(
      8,
      `
        import { JweSealer } from './src/adapters/sealing/jwe-sealer.js';
        import { MasterKeys } from './src/adapters/sealing/master-keys.js';
        import { systemClock } from './src/app/clock.js';
        import { readKeyringFile } from './src/config/secrets/secret-files.js';
        const file = process.argv[2];
        const read = (name) => readKeyringFile(name, { setting: 'masterKey.file' });
        const source = { kind: 'embedded', file, read, mayCreate: async () => true, onCreated() {} };
        const sealer = new JweSealer(new MasterKeys(source, systemClock));
        console.log((await sealer.seal('k1', Buffer.from('x'))).masterKeyId);
      `,
      file,
    );
    expect(new Set(outputs).size).toBe(1);
    expect(outputs[0]?.trim()).toBe(parseKeyring(await readFile(file, 'utf8'), file)[0].id);
  });
});
