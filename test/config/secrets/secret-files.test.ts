import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readKeyringFile, readSecretFile, readSecretText } from '../../../src/config/secrets/secret-files.js';
import type { JwtctlError } from '../../../src/domain/shared/errors.js';
import { temporaryFolder } from '../../support/cli.js';
import { runAtOnce } from '../../support/processes.js';

const SETTING = 'redis.passwordFile';
const NO_VERIFIERS = 65_534;
/** Only root can give a file to another user. */
const isRoot = process.geteuid?.() === 0;

function secretFile(mode = 0o600, text = 'hunter2\n'): string {
  const file = join(temporaryFolder(), 'password');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

async function read(file: string): Promise<{ secret: string; warnings: string[] }> {
  const warnings: string[] = [];
  const secret = await readSecretFile(file, { setting: SETTING, warn: (text) => warnings.push(text) });
  return { secret, warnings };
}

async function refusal(file: string): Promise<JwtctlError> {
  return readSecretFile(file, { setting: SETTING }).then(
    () => expect.unreachable('The file was accepted.'),
    (error) => error,
  );
}

async function expectUnsafe(file: string, ...texts: string[]): Promise<void> {
  const { kind, code, message, hint } = await refusal(file);
  expect([kind, code]).toEqual(['usage', 'ERR_CONFIG_FILE_UNSAFE']);
  for (const text of [file, SETTING, ...texts]) expect(`${message} ${hint}`).toContain(text);
  expect(message).not.toContain('hunter2');
}

describe('a secret file', () => {
  test('is read if the account owns it, below a sticky folder of root', async () => {
    expect(await read(secretFile(0o600))).toEqual({ secret: 'hunter2', warnings: [] });
    expect(await read(secretFile(0o400))).toEqual({ secret: 'hunter2', warnings: [] });
  });

  test.each([0o620, 0o602, 0o666])('is refused if other users can write to it (mode %o)', async (mode) => {
    const file = secretFile(mode);
    await expectUnsafe(file, 'other users can write to it', `chmod 600 ${file}`);
  });

  test.each([0o640, 0o604, 0o644])(
    'is read with a warning if other users can read it (mode %o)',
    async (mode) => {
      const file = secretFile(mode);
      const { secret, warnings } = await read(file);
      expect(secret).toBe('hunter2');
      expect(warnings).toEqual([expect.stringContaining(`chmod 600 ${file}`)]);
      expect(warnings[0]).toContain(SETTING);
      expect(warnings[0]).not.toContain('hunter2');
    },
  );

  test.each([0o777, 0o770, 0o722])(
    'is refused if other users can write to its folder (mode %o)',
    async (mode) => {
      const file = secretFile();
      chmodSync(dirname(file), mode);
      await expectUnsafe(
        file,
        `other users can write to its folder ${dirname(file)}`,
        `chmod go-w ${dirname(file)}`,
      );
    },
  );

  test('is refused if other users can write to any folder above it', async () => {
    const top = temporaryFolder();
    mkdirSync(join(top, 'a/b'), { recursive: true });
    const file = join(top, 'a/b/password');
    writeFileSync(file, 'hunter2', { mode: 0o600 });
    expect((await read(file)).secret).toBe('hunter2');
    chmodSync(top, 0o777);
    await expectUnsafe(file, top);
  });

  test('behind links is checked by its target and every folder on the way', async () => {
    const folder = temporaryFolder();
    const open = secretFile(0o602);
    symlinkSync(open, join(folder, 'to-open'));
    await expectUnsafe(join(folder, 'to-open'), open);
    const inOpenFolder = secretFile();
    chmodSync(dirname(inOpenFolder), 0o777);
    symlinkSync(dirname(inOpenFolder), join(folder, 'open-folder'));
    await expectUnsafe(join(folder, 'open-folder/password'), dirname(inOpenFolder));
  });

  test('is reported as missing, not unsafe, if a link leads to nothing or to itself', async () => {
    const folder = temporaryFolder();
    symlinkSync(join(folder, 'nothing'), join(folder, 'dangling'));
    symlinkSync('loop', join(folder, 'loop'));
    writeFileSync(join(folder, 'file'), 'x', { mode: 0o600 });
    const codes = await Promise.all(
      ['nothing', 'dangling', 'file/below', 'loop', '.'].map(
        async (name) => (await refusal(join(folder, name))).code,
      ),
    );
    expect(codes).toEqual([
      'ERR_CONFIG_FILE_MISSING',
      'ERR_CONFIG_FILE_MISSING',
      'ERR_CONFIG_FILE_MISSING',
      'ERR_CONFIG_FILE_UNREADABLE',
      'ERR_CONFIG_FILE_UNREADABLE',
    ]);
  });

  test('is read as Kubernetes mounts it: links below a sticky folder of root', async () => {
    const mount = temporaryFolder();
    mkdirSync(join(mount, '..2026_01_01'), { mode: 0o755 });
    writeFileSync(join(mount, '..2026_01_01/password'), 'hunter2\n', { mode: 0o600 });
    symlinkSync('..2026_01_01', join(mount, '..data'));
    symlinkSync('..data/password', join(mount, 'password'));
    for (const mode of [0o1777, 0o3777, 0o2775 | 0o1000]) {
      chmodSync(mount, mode);
      expect((await read(join(mount, 'password'))).secret).toBe('hunter2');
    }
    chmodSync(mount, 0o777);
    await expectUnsafe(join(mount, 'password'), mount);
  });

  test('must be a regular file outside /proc, /sys, and /dev', async () => {
    const folder = temporaryFolder();
    execFileSync('/bin/sh', ['-c', 'mkfifo -m 600 "$0"', join(folder, 'pipe')]);
    symlinkSync('/proc/self/environ', join(folder, 'environment'));
    const socket = createServer().listen(join(folder, 'socket'));
    await new Promise((resolve) => socket.once('listening', resolve));
    try {
      const paths = ['/proc/self/environ', '/sys/kernel/notes', '/dev/zero', '/dev/stdin', '/proc/self/fd/0'];
      for (const name of ['pipe', 'environment', 'socket']) paths.push(join(folder, name));
      for (const path of paths) {
        await expectUnsafe(path, 'not a regular file');
      }
    } finally {
      socket.close();
    }
  });

  test.skipIf(!isRoot).each(['file', 'folder', 'folder above', 'link'])(
    'is refused if another user owns the %s',
    async (part) => {
      const top = temporaryFolder();
      mkdirSync(join(top, 'folder'));
      const file = join(top, 'folder/password');
      writeFileSync(file, 'hunter2', { mode: 0o600 });
      symlinkSync(file, join(top, 'link'));
      const path = part === 'link' ? join(top, 'link') : file;
      expect((await read(path)).secret).toBe('hunter2');
      if (part === 'file') chownSync(file, NO_VERIFIERS, NO_VERIFIERS);
      if (part === 'folder') chownSync(join(top, 'folder'), NO_VERIFIERS, NO_VERIFIERS);
      if (part === 'folder above') chownSync(top, NO_VERIFIERS, NO_VERIFIERS);
      if (part === 'link') lchownSync(join(top, 'link'), NO_VERIFIERS, NO_VERIFIERS);
      await expectUnsafe(path, `uid ${NO_VERIFIERS}`);
    },
  );

  test.skipIf(!isRoot)('is refused in a sticky folder of another user', async () => {
    const file = secretFile();
    chownSync(dirname(file), NO_VERIFIERS, NO_VERIFIERS);
    chmodSync(dirname(file), 0o1777);
    await expectUnsafe(file, dirname(file));
  });

  test.skipIf(!isRoot).each([
    ['its group', (file: string) => chownSync(file, 0, 4242)],
    ['an ACL, as a credential of systemd', (file: string) => letRead(file, 4244)],
  ])('of root is read without a warning if the account reads it through %s', async (_, give) => {
    // Not below TMPDIR, which may be closed to other accounts.
    const folder = mkdtempSync('/tmp/jwtctl-group-');
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'password');
    writeFileSync(file, 'hunter2\n', { mode: 0o640 });
    chmodSync(folder, 0o711);
    give(file);
    const [output] = await runAtOnce(
      1,
      `
        import { readSecretFile } from './src/config/secrets/secret-files.js';
        process.setgroups([4242]);
        process.setgid(4243);
        process.setuid(4244);
        const warnings = [];
        const by = { setting: 'redis.passwordFile', warn: (text) => warnings.push(text) };
        console.log(JSON.stringify({ secret: await readSecretFile(process.argv[2], by), warnings }));
      `,
      file,
    );
    expect(JSON.parse(String(output))).toEqual({ secret: 'hunter2', warnings: [] });
  });
});

/** Sets an ACL like `u::r,u:UID:r,g::-,m::r,o::-`. Python needs no program for that. */
function letRead(file: string, uid: number): void {
  const script = `
import os, struct, sys
entries = [(1, 4, -1), (2, 4, int(sys.argv[2])), (4, 0, -1), (16, 4, -1), (32, 0, -1)]
packed = b''.join(struct.pack('<HHi', *entry) for entry in entries)
os.setxattr(sys.argv[1], 'system.posix_acl_access', struct.pack('<I', 2) + packed)`;
  execFileSync('python3', ['-c', script, file, String(uid)]);
}

describe('a password file', () => {
  test.each([
    ['no line end', 'hunter2', 'hunter2'],
    ['a line end', 'hunter2\n', 'hunter2'],
    ['a Windows line end', 'hunter2\r\n', 'hunter2'],
    ['blanks', ' hunter 2\t', ' hunter 2\t'],
    ['more than ASCII', 'pä\u20ac\n', 'pä\u20ac'],
    ['4095 bytes', `${'x'.repeat(4095)}\n`, 'x'.repeat(4095)],
  ])('with %s is read', async (_, text, secret) => {
    expect((await read(secretFile(0o600, text))).secret).toBe(secret);
  });

  test.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['two lines', 'hunter2\nhunter3\n'],
    ['two line ends', 'hunter2\n\n'],
    ['a carriage return', 'hunter2\rhunter3'],
    ['a NUL', 'hunter2\0'],
    ['more than 4096 bytes', 'hunter2'.repeat(600)],
  ])('with %s is refused, and its contents are not shown', async (_, text) => {
    const file = secretFile(0o600, text);
    const error = await refusal(file);
    expect([error.kind, error.code]).toEqual(['usage', 'ERR_CONFIG_FILE_INVALID']);
    expect(error.message).toContain(file);
    expect(error.message).toContain(SETTING);
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('hunter');
  });

  test('with bytes that are not UTF-8 is refused', async () => {
    const file = secretFile();
    writeFileSync(file, Buffer.from([0x70, 0xe4, 0x0a]));
    expect((await refusal(file)).code).toBe('ERR_CONFIG_FILE_INVALID');
  });
});

describe('a keyring or a private key', () => {
  test('may have several lines, and is checked like a password file', async () => {
    const by = { setting: 'mysql.tls.key' };
    expect(await readSecretText(secretFile(0o600, 'a\nb\n'), by)).toBe('a\nb\n');
    await expect(readSecretText(secretFile(0o620, 'a\nb\n'), by)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FILE_UNSAFE',
    });
    await expect(readSecretText(secretFile(0o600, 'x'.repeat(70_000)), by)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FILE_INVALID',
    });
  });

  test('causes a state error if it is the keyring and missing', async () => {
    const file = join(temporaryFolder(), 'none');
    const by = { setting: 'masterKey.file' };
    await expect(readKeyringFile(file, by)).rejects.toMatchObject({
      kind: 'state',
      code: 'ERR_MASTER_KEY_MISSING',
      message: expect.stringContaining(`${file} cannot be read (ENOENT)`),
    });
    await expect(readKeyringFile(secretFile(0o666), by)).rejects.toMatchObject({
      code: 'ERR_CONFIG_FILE_UNSAFE',
    });
  });
});
