import { expect, test } from 'vitest';
import { otherTokenType } from '../../../src/domain/tokens/token-type.js';

test.each([
  [{ typ: 'JWT' }, { type: 'refresh' }],
  [{ typ: 'JWT' }, { typ: 'Refresh' }],
  [{ typ: 'JWT' }, { typ: 'Offline' }],
  [{ typ: 'JWT' }, { token_type: 'refresh_token' }],
  [{ typ: 'JWT' }, { token_use: 'refresh' }],
  [{ typ: 'JWT' }, { grant_type: 'refresh' }],
  [{ typ: 'refresh+jwt' }, {}],
  [{ typ: 'application/rt+jwt' }, {}],
])('a token with the header %j and the claims %j is a refresh token', (header, payload) => {
  expect(otherTokenType(header, payload)).toBe('refresh token');
});

test.each([
  [{}, { token_use: 'id' }],
  [{}, { typ: 'ID' }],
  [{ typ: 'id_token' }, {}],
])('a token with the header %j and the claims %j is an ID token', (header, payload) => {
  expect(otherTokenType(header, payload)).toBe('ID token');
});

test.each([
  [{ typ: 'JWT' }, { sub: 'refresh' }],
  [{ typ: 'at+jwt' }, { type: 'access', token_type: 'Bearer', token_use: 'access' }],
  [{ typ: 3 }, { type: ['refresh'] }],
  // The grant with which this access token was requested.
  [{}, { grant_type: 'refresh_token' }],
])('a token with the header %j and the claims %j may be an access token', (header, payload) => {
  expect(otherTokenType(header, payload)).toBeNull();
});
