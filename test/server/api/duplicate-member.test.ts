import { expect, test } from 'vitest';
import { duplicateMember } from '../../../src/server/api/duplicate-member.js';

test.each([
  ['{"sub":"alice","sub":"bob"}', 'sub'],
  ['{"sub":"alice", "s\\u0075b" : "bob"}', 'sub'],
  ['{"a":[{"b":1,"c":{},"b":2}]}', 'b'],
  ['{"a":{"b":1},"b":{"a":1},"c":[{"d":1},{"d":2}]}', null],
  ['{"a":"x\\":{","b":"\\"a\\":","c":["a","a"]}', null],
])('the first member that occurs twice in %s is %s', (json, name) => {
  expect(duplicateMember(json)).toBe(name);
});
