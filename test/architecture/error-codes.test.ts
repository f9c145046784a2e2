import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/domain/shared/error-codes/index.js';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const DECLARATIONS = join('domain', 'shared', 'error-codes');

const source = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith(DECLARATIONS))
  .map((path) => readFileSync(join(SRC, path), 'utf8'))
  .join('\n');
const used = new Set([...source.matchAll(/^(?!\s*(?:\/\/|\*|\/\*)).*$/gm)].flatMap(codesIn));

function codesIn([line]: readonly string[]): string[] {
  return line?.match(/\bERR_[A-Z0-9_]+\b/g) ?? [];
}

test.each(Object.entries(ERROR_CODES))('%s is used, and says what happened and what to do', (code, entry) => {
  expect(used).toContain(code);
  expect(entry.meaning).toMatch(/^\S.*\.$/);
  expect(entry.remedy).toMatch(/^\S.*\.$/);
  // A table cell of docs/errors.md holds each of them.
  expect(entry.meaning + entry.remedy).not.toMatch(/[|\n]/);
});

test('no code is declared twice', () => {
  const declared = readdirSync(join(SRC, DECLARATIONS)).flatMap((file) =>
    [...readFileSync(join(SRC, DECLARATIONS, file), 'utf8').matchAll(/^ {2}(ERR_\w+):/gm)].map(
      ([, code]) => code,
    ),
  );
  expect(declared.sort()).toEqual(Object.keys(ERROR_CODES).sort());
});
