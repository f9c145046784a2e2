import { expect, test } from 'vitest';
import { asSentence, fileNameShown, parseReason } from '../../../src/domain/shared/text.js';

test.each([
  ['Not seen: slots 0-5460', 'Not seen: slots 0-5460.'],
  ['Not seen: slot 7 (10.0.0.1:6379: timed out)', 'Not seen: slot 7 (10.0.0.1:6379: timed out).'],
  ['Not done: Redis cannot be reached.', 'Not done: Redis cannot be reached.'],
  ['Not seen: all of it (Redis cannot be reached.)', 'Not seen: all of it (Redis cannot be reached.)'],
  ["Unknown command 'rotat' (Did you mean rotate?)", "Unknown command 'rotat' (Did you mean rotate?)"],
  ['Really?', 'Really?'],
  ['Too many keys (3)', 'Too many keys (3).'],
])('%s ends with one period', (text, sentence) => {
  expect(asSentence(text)).toBe(sentence);
});

test.each([
  ['-----BEGIN PRIVATE KEY-----\nMIIEv\n'],
  [`${'a'.repeat(42)}B=`],
  [`/srv/${'a'.repeat(20)}/${'+'.repeat(21)}B=`],
  [JSON.stringify({ kty: 'RSA', d: 'x'.repeat(300) })],
])('hides text that is not a file name: %#', (name) => {
  expect(fileNameShown(name)).toBe('(hidden: not a file name)');
});

test('shows a file name, safe for the terminal', () => {
  const long = `/var/lib/${'folder/'.repeat(10)}keyring`;
  expect([fileNameShown('key.pem'), fileNameShown(long)]).toEqual(['key.pem', long]);
  expect(fileNameShown('a\u001b[2J')).not.toContain('\u001b');
});

test('refuses a blank reason', () => {
  expect(() => parseReason('   ')).toThrow(/reason/);
});
