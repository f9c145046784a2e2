import { expect, test } from 'vitest';
import { checkClaimedType } from '../../../src/domain/verification/token-type.js';

test.each([
  [{ type: 'refresh' }, 'a refresh token'],
  [{ typ: 'Refresh' }, 'a refresh token'],
  [{ typ: 'Offline' }, 'a refresh token'],
  [{ token_type: 'refresh_token' }, 'a refresh token'],
  [{ tokenType: 'refreshToken' }, 'a refresh token'],
  [{ token_use: 'refresh' }, 'a refresh token'],
  [{ grant_type: 'refresh' }, 'a refresh token'],
  [{ typ: 'application/rt+jwt' }, 'a refresh token'],
  [{ token_use: 'id' }, 'an ID token'],
  [{ typ: 'ID' }, 'an ID token'],
  [{ typ: 'Logout' }, 'a logout token'],
])('a token with the claims %j is refused as %s', (payload, what) => {
  expect(checkClaimedType(payload)?.error).toMatchObject({
    ...{ code: 'ERR_TOKEN_TYPE_REFUSED', message: expect.stringContaining(`says that it is ${what}`) },
  });
});

test.each([
  [{ sub: 'refresh' }],
  [{ type: 'access', token_type: 'Bearer', token_use: 'access' }],
  [{ type: ['refresh'] }],
  // The grant with which this access token was requested.
  [{ grant_type: 'refresh_token' }],
])('a token with the claims %j may be an access token', (payload) => {
  expect(checkClaimedType(payload)).toBeNull();
});

test.each([['id'], ['ID'], ['id_token']])('an ID token is accepted if %s is an accepted type', (type) => {
  expect(checkClaimedType({ token_use: 'id' }, ['JWT', type])).toBeNull();
  expect(checkClaimedType({ token_use: 'refresh' }, ['JWT', type])).not.toBeNull();
});
