import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const places = ['src', 'test', 'docs', 'examples', 'README.md', 'CONTRIBUTING.md'];
const files = execFileSync('git', ['ls-files', ...places], { cwd: root, encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((file) => /\.(ts|mjs|lua|md|py|php|go)$/.test(file) && !file.endsWith('vocabulary.test.ts'));

/** Words that the glossary replaces, also as parts of identifiers. Case is ignored. */
const RETIRED = {
  'standing(?!\\s+(?:in|on|at)\\b)': 'token status',
  'noted(?=[A-Z]|\\b)': 'cached user status, recorded',
  uproot: 'remove key entries',
  'fil(?:ing|ed)(?=[A-Z]|\\b)': 'export entries',
  manifest: 'backup',
  'tid(?:y|ied|ies)': 'remove entries',
  'adopt(?!ions)': 'register external tokens',
  'lanes?(?=[A-Z]|\\b)': 'master connection',
  announcement: 'heartbeat',
  withdraw: 'deregister',
  passage: 'acknowledgement',
  unasked: 'unavailable reason',
  'step[- ]?(?:up|down)': 'promote, demote',
  unannounced: 'not pre-published',
  halves: 'private key, public key',
  'private half': 'private key',
  survey: 'scan',
  'bulks(?!tring)': 'bulk strings',
  ledger: 'progress',
  prose: 'text',
  stranger: 'foreign member',
  whoever: 'the noun that is meant',
  nobody: 'the noun that is meant',
  'who is at it': 'actor',
  giveWay: 'nice',
};

test.each(Object.entries(RETIRED))('%s is not used: the word is "%s"', (pattern) => {
  const word = new RegExp(pattern, 'i');
  const found = files.flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => (word.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});
