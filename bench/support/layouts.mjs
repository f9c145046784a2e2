// @ts-check
import { openRandom } from './random.mjs';

/**
 * @typedef {import('./tokens.mjs').Subject} Subject
 * @typedef {import('./tokens.mjs').Key} Key
 * @typedef {object} Write one command of a fill
 * @property {string} key decides the slot
 * @property {string} command in the Redis protocol; ASCII
 *
 * @callback Layout how the tokens of a subject are kept
 * @param {Subject} subject
 * @returns {Write[]}
 */

/** Settings of the product that show in its layout: their defaults. */
const PREFIX = 'jwt';
const CLOCK_TOLERANCE = 5;
const STATUS_TTL = 60;
const ISSUER = 'jwtctl';
const AUDIENCE = 'user';
/** Of a user whose row has not changed since it was made. */
const USER_VERSION = 1;
/** 2048 bits. */
const SIGNATURE_CHARACTERS = 342;

/** @param {string} sub needs no encoding: `A-Z a-z 0-9 . _ ~ @ -` */
export function productKey(sub) {
  return `${PREFIX}:{${sub}}`;
}

/**
 * The product's own: a sorted set for each subject, as the last of its registrations leaves it.
 *
 * @type {Layout}
 */
export function productLayout({ sub, entries }) {
  const key = productKey(sub);
  const lastExp = Math.max(...entries.map(({ exp }) => exp));
  const lastIat = Math.max(...entries.map(({ iat }) => iat));
  const scored = entries.flatMap(({ keyId, iat, jti, exp }) => [
    String(exp),
    `${keyId.toString(36)}.${iat.toString(36)}.${jti}`,
  ]);
  const status = [String(lastIat + STATUS_TTL), '!s', String(-USER_VERSION), '!v'];
  return [
    { key, command: encode('ZADD', key, ...scored, ...status) },
    { key, command: encode('EXPIREAT', key, String(lastExp + CLOCK_TOLERANCE)) },
  ];
}

/**
 * As people do it: a key for each token, named by the token itself, with a small value: `SET <token> 1 EXAT <exp>`.
 * The tokens are those that the product would have issued, but for the signature: as many characters at random, because
 * signing a million takes minutes and Redis does not look.
 *
 * @param {readonly Key[]} keys
 * @returns {Layout}
 */
export function rawTokenLayout(keys) {
  const random = openRandom(2);
  const noise = randomCharacters(random);
  const headers = new Map(
    keys.map(({ id, kid }) => [id, base64url(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid }))]),
  );
  return ({ sub, entries }) =>
    entries.map(({ keyId, iat, jti, exp }) => {
      const payload = JSON.stringify({ iss: ISSUER, sub, aud: AUDIENCE, iat, exp, jti });
      const from = random.below(noise.length - SIGNATURE_CHARACTERS);
      const signature = noise.slice(from, from + SIGNATURE_CHARACTERS);
      const key = `${headers.get(keyId)}.${base64url(payload)}.${signature}`;
      return { key, command: encode('SET', key, '1', 'EXAT', String(exp)) };
    });
}

/** @param {ReturnType<typeof openRandom>} random */
function randomCharacters(random) {
  const bytes = Buffer.alloc(1024 * 1024);
  random.fill(bytes);
  return bytes.toString('base64url');
}

/** @param {string} text */
function base64url(text) {
  return Buffer.from(text).toString('base64url');
}

/** @param {string[]} words ASCII */
export function encode(...words) {
  let command = `*${words.length}\r\n`;
  for (const word of words) command += `$${word.length}\r\n${word}\r\n`;
  return command;
}
