import { expect, test } from 'vitest';
import { asSentence } from '../../src/domain/prose.js';

test.each([
  ['Not seen: slots 0-5460', 'Not seen: slots 0-5460.'],
  ['Not seen: slot 7 (10.0.0.1:6379: timed out)', 'Not seen: slot 7 (10.0.0.1:6379: timed out).'],
  ['Not done: Redis cannot be reached.', 'Not done: Redis cannot be reached.'],
  ['Not seen: all of it (Redis cannot be reached.)', 'Not seen: all of it (Redis cannot be reached.)'],
  ["Unknown command 'rotat' (Did you mean rotate?)", "Unknown command 'rotat' (Did you mean rotate?)"],
  ['Really?', 'Really?'],
  ['Too many keys (3)', 'Too many keys (3).'],
])('%s ends with one full stop', (text, sentence) => {
  expect(asSentence(text)).toBe(sentence);
});
