import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/domain/shared/error-catalog/index.js';
import { DOCUMENTS, ROOT, readDocument } from '../support/documents.js';

const SRC = join(ROOT, 'src');
const DECLARATIONS = join('domain', 'shared', 'error-catalog');

/** The lines of every file in `src`, without comments and declarations of codes. */
const source = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith(DECLARATIONS))
  .map((path) => ({
    path,
    text: readFileSync(join(SRC, path), 'utf8').replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, ''),
  }));
const used = new Set(source.flatMap(({ text }) => text.match(/\bERR_[A-Z0-9_]+\b/g) ?? []));

test.each(Object.entries(ERROR_CODES))('%s is used, and has a meaning and a remedy', (code, entry) => {
  expect(used).toContain(code);
  expect(entry.meaning).toMatch(/^\S.*\.$/);
  expect(entry.remedy).toMatch(/^\S.*\.$/);
});

test('no code is declared twice', () => {
  const declared = readdirSync(join(SRC, DECLARATIONS)).flatMap((file) =>
    [...readFileSync(join(SRC, DECLARATIONS, file), 'utf8').matchAll(/^ {2}(ERR_\w+):/gm)].map(
      ([, code]) => code,
    ),
  );
  expect(declared.sort()).toEqual(Object.keys(ERROR_CODES).sort());
});

test.each(DOCUMENTS.filter((document) => document !== 'CHANGELOG.md'))(
  'every error code in %s exists',
  (document) => {
    const named = readDocument(document).match(/\bERR_[A-Z0-9_]+\b/g) ?? [];
    expect(named.filter((code) => !(code in ERROR_CODES))).toEqual([]);
  },
);

test('the generated documents are up to date', { timeout: 120_000 }, () => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/generate-docs.mjs', '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('domain and adapters mention no flag, because the CLI adds hints', () => {
  const naming = source
    .filter(({ path }) => /^(domain|adapters)\//.test(path))
    .filter(({ text }) => /[\s'"`(]--[a-z]/.test(text.replace(/`(jwtctl|openssl|ssh-keygen) [^`]*`/g, '')));
  expect(naming.map(({ path }) => path)).toEqual([]);
});
