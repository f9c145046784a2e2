import { expect, test } from 'vitest';
import { unwritable } from '../../src/app/private-file.js';

test.each([
  ['ENOSPC', 'unavailable'],
  ['EDQUOT', 'unavailable'],
  ['EIO', 'unavailable'],
  ['EACCES', 'usage'],
  ['ENOENT', 'usage'],
])('a file that cannot be written because of %s is an error of kind %s', (code, kind) => {
  const { code: known, kind: found } = unwritable('/srv/jwks.json', Object.assign(new Error(code), { code }));
  expect([known, found]).toEqual(['ERR_FILE_UNWRITABLE', kind]);
});
