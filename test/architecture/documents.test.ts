import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const documents = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n');

test('the documents are found', () => {
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'docs/glossary.md']));
});

test.each(documents)('every file that %s names exists', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  const named = [...text.matchAll(/`((?:src|test|docs|scripts|bench)\/[\w./-]+\.\w+)`/g)].map(([, path]) =>
    join(root, path as string),
  );
  const linked = [...text.matchAll(/\]\((?!\w+:|#)([^)#]+)/g)].map(([, path]) =>
    join(root, dirname(document), path as string),
  );
  expect([...named, ...linked].filter((path) => !existsSync(path))).toEqual([]);
});
