import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSecretFile, readSecretText } from '../../../src/config/secrets/secret-files.js';
import { cli, temporaryFolder } from '../../support/cli.js';
import { Workspace } from '../workspace.js';

const folder = temporaryFolder();
let number = 0;
function file(bytes: string | Buffer): string {
  number += 1;
  const path = join(folder, `file-${number}`);
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}

const utf16le = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
const utf16be = (text: string) => utf16le(text).swap16();
const BOM = '\ufeff';
const by = { setting: 'redis.passwordFile' };

describe('a password file', () => {
  test.each([
    ['with a byte order mark', `${BOM}hunter2\n`],
    ['with a Windows line break', 'hunter2\r\n'],
    ['without a line break', 'hunter2'],
    ['in UTF-16, little endian', utf16le('hunter2\r\n')],
    ['in UTF-16, big endian', utf16be('hunter2\n')],
    ['in UTF-16 without a byte order mark', Buffer.from('hunter2', 'utf16le')],
  ])('%s is read', async (_, bytes) => {
    expect(await readSecretFile(file(bytes), by)).toBe('hunter2');
  });

  test.each([
    ['empty', '', 'is empty'],
    ['only a line break', '\n', 'is empty'],
    ['only a byte order mark', BOM, 'is empty'],
    ['two lines', 'hunter2\nhunter3\n', 'has more than one line'],
    ['too long', 'hunter2'.repeat(1000), 'is longer than 4096 bytes'],
    ['binary', Buffer.from([0xc3, 0xa9, 0, 1]), 'is binary'],
    ['in Latin-1', Buffer.from('hunter2\u00e9', 'latin1'), 'is not UTF-8'],
  ])('that is %s is refused by name', async (_, bytes, found) => {
    const path = file(bytes);
    const error = await readSecretFile(path, by).catch((failure) => failure);
    expect(error).toMatchObject({ code: 'ERR_CONFIG_FILE_INVALID' });
    for (const text of [path, by.setting, found]) expect(error.message).toContain(text);
    expect(`${error.message}${error.hint}`).not.toContain('hunter');
  });

  test('that is a folder is refused by name', async () => {
    const error = await readSecretFile(folder, by).catch((failure) => failure);
    expect(error).toMatchObject({ code: 'ERR_CONFIG_FILE_UNREADABLE' });
    expect(error.message).toContain('is a folder');
  });
});

test('a keyring in UTF-16 is read', async () => {
  expect(await readSecretText(file(utf16le('a key\r\n')), by)).toBe('a key\r\n');
});

describe('a configuration file', () => {
  test.each([
    ['with a byte order mark', `${BOM}token: {issuer: me}`],
    ['with Windows line breaks', 'token:\r\n  issuer: me\r\n'],
    ['in UTF-16', utf16le('token: {issuer: me}')],
  ])('%s is read', async (_, bytes) => {
    const space = new Workspace();
    writeFileSync(space.write(space.userFile, ''), bytes);
    expect((await space.load()).settings.token.issuer).toBe('me');
  });

  test('that is binary or a folder is refused by name', async () => {
    const space = new Workspace();
    writeFileSync(space.write(space.userFile, ''), Buffer.from([0xc3, 0xa9, 0, 1]));
    expect((await space.refusal()).message).toContain('is binary');
    const other = new Workspace();
    mkdirSync(other.userFile, { recursive: true });
    expect((await other.refusal()).message).toContain('is a folder');
  });
});

test('a token in a file of PowerShell is read', async () => {
  const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln';
  for (const bytes of [utf16le(`${token}\r\n`), `${BOM}${token}\r\n`]) {
    const decoded = await cli().json('token', 'decode', `@${file(bytes)}`);
    expect(JSON.stringify(decoded)).toContain('alice');
  }
});
