import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { freshPair, pkcs8Of } from '../support/private-keys.js';

/** A key file and a project file, both with something to warn about. */
function shellWithWarnings(): { shell: Cli; key: string } {
  const shell = cli();
  const key = join(shell.home, 'key.pem');
  writeFileSync(key, pkcs8Of(freshPair()));
  chmodSync(key, 0o644);
  return { shell, key };
}

const READABLE = /^Warning: Other users can read the secret in .*key\.pem \(--pem\)\. Run `chmod 600 .*`\.$/m;

describe('a warning', () => {
  test.each([[[]], [['-q']], [['-o', 'ndjson']], [['--json']]])('is shown with %j', async (form) => {
    const { shell, key } = shellWithWarnings();
    const { exitCode, stderr } = await shell.run('keys', 'import', '--pem', key, ...form);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(READABLE);
  });

  test('is a part of the error document with --json', async () => {
    const { shell, key } = shellWithWarnings();
    writeFileSync(key, 'not a key\n');
    const failed = await shell.run('keys', 'import', '--pem', key, '--json');
    expect([failed.exitCode, failed.stdout]).toEqual([2, '']);
    expect(JSON.parse(failed.stderr)).toEqual({
      error: expect.objectContaining({ code: 'ERR_PEM_INVALID' }),
      diagnostics: [expect.stringMatching(READABLE)],
    });
  });

  test('precedes a failure in text', async () => {
    const { shell, key } = shellWithWarnings();
    writeFileSync(key, 'not a key\n');
    const { stderr } = await shell.run('keys', 'import', '--pem', key, '-q');
    expect(stderr).toMatch(/^Warning: Other users.*\njwtctl: /);
  });
});

describe('a project file that sets a store', () => {
  test.each([[[]], [['-q']], [['-o', 'ndjson']], [['--json']]])('is named with %j', async (form) => {
    const shell = cli();
    mkdirSync(join(shell.home, '.git'));
    writeFileSync(join(shell.home, 'jwtctl.yaml'), 'redis: {nodes: cache.example:6379}\n', { mode: 0o600 });
    const { exitCode, stderr } = await shell.run('config', 'show', ...form);
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/^The project file .*jwtctl\.yaml sets redis\.nodes\.$/m);
  });
});

test('notes stay out of -q', async () => {
  const { stderr } = await cli().run('keys', 'generate', '-q');
  expect(stderr).not.toContain('embedded store');
});
