import { existsSync, readdirSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { DOCUMENTS, ROOT, readDocument } from '../support/documents.js';

test('the documents are found', () => {
  expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'SECURITY.md', 'docs/glossary.md']));
});

test.each(DOCUMENTS)('every file that %s names exists', (document) => {
  const text = readDocument(document);
  const named = [...text.matchAll(/`((?:src|test|docs|examples|scripts|bench)\/[\w./-]+\.\w+)`/g)].map(
    ([, path]) => join(ROOT, path as string),
  );
  const linked = [...text.matchAll(/\]\((?!\w+:|#)([^)#]+)/g)].map(([, path]) =>
    join(ROOT, dirname(document), path as string),
  );
  expect([...named, ...linked].filter((path) => !existsSync(path))).toEqual([]);
});

test.each(DOCUMENTS)('every heading that %s links to exists', (document) => {
  const links = [...readDocument(document).matchAll(/\]\((?!\w+:)([^)#]*\.md)?#([^)]+)\)/g)].map(
    ([, path, anchor]) => ({ target: path === undefined ? document : join(dirname(document), path), anchor }),
  );
  const dead = links.filter(
    ({ target, anchor }) => !anchorsOf(readDocument(target)).includes(anchor as string),
  );
  expect(dead).toEqual([]);
});

test('every picture of a terminal is shown in a document, and names neither this host nor its folders', () => {
  const shown = DOCUMENTS.flatMap((document) =>
    [...readDocument(document).matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, path]) =>
      join(ROOT, dirname(document), path as string),
    ),
  );
  const pictures = readdirSync(join(ROOT, 'docs/images')).filter((name) => name.endsWith('.svg'));
  expect(pictures.length).toBeGreaterThan(3);
  for (const picture of pictures) {
    expect(shown).toContain(join(ROOT, 'docs/images', picture));
    const text = readDocument(join('docs/images', picture));
    for (const name of [hostname(), tmpdir(), ROOT]) expect(text).not.toContain(name);
  }
});

/** Returns the anchors that GitHub gives to headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
