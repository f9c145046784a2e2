import { expect, test } from 'vitest';
import { remedyOf } from '../../../src/cli/output/remedy.js';

test.each([
  [{}, '--sub SUB --jti JTI'],
  [{ sub: 'alice' }, '--sub alice --jti JTI'],
  [{ sub: "o'neil $x", jti: '-a' }, "--sub 'o'\\''neil $x' --jti=-a"],
])('the command of a remedy has the values %j', (known, flags) => {
  expect(remedyOf('ERR_CLAIM_INVALID', known)).toContain(`\`jwtctl token revoke ${flags}\``);
});
