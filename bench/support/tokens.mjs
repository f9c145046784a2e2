// @ts-check
import { openRandom } from './random.mjs';

/**
 * @typedef {{ keyId: number, iat: number, jti: string, exp: number }} Entry
 * @typedef {{ sub: string, entries: Entry[] }} Subject
 * @typedef {{ id: number, kid: string }} Key
 * @typedef {object} TokenSet what the tokens are like
 * @property {number} tokens
 * @property {number} subjects at most as many as tokens
 * @property {readonly Key[]} keys the first one has signed six tokens of ten, the others share the rest
 * @property {number} now
 */

const HOUR = 3600;
/** Days and hours as people choose them. */
const LIFETIMES = [4 * HOUR, 4 * HOUR, 12 * HOUR, 12 * HOUR, 24 * HOUR];
/** So long a token has to live at least: none may expire while it is measured. */
const LEAST_LEFT = 2 * HOUR;

/**
 * The subjects of a set, each once, with all of their tokens. Each subject has one token, and the others fall to
 * subjects at random; so most have some, and a few have many.
 *
 * @param {TokenSet} set
 * @returns {Generator<Subject, void>}
 */
export function* subjectsOf({ tokens, subjects, keys, now }) {
  const random = openRandom(1);
  const counts = new Uint32Array(subjects).fill(1);
  for (let left = tokens - subjects; left > 0; left--) {
    const index = random.below(subjects);
    counts[index] = (counts[index] ?? 0) + 1;
  }

  const bits = Buffer.alloc(16);
  for (const [index, count] of counts.entries()) {
    /** @type {Entry[]} */
    const entries = [];
    for (let made = 0; made < count; made++) {
      const lifetime = LIFETIMES[random.below(LIFETIMES.length)] ?? LEAST_LEFT;
      const iat = now - random.below(lifetime - LEAST_LEFT);
      random.fill(bits);
      entries.push({
        keyId: chooseKey(keys, random).id,
        iat,
        jti: bits.toString('base64url'),
        exp: iat + lifetime,
      });
    }
    yield { sub: subjectName(index), entries };
  }
}

/** @param {number} index */
export function subjectName(index) {
  return `user${index}@example.com`;
}

/**
 * @param {readonly Key[]} keys
 * @param {ReturnType<typeof openRandom>} random
 */
function chooseKey(keys, random) {
  const index = keys.length === 1 || random.below(10) < 6 ? 0 : 1 + random.below(keys.length - 1);
  return /** @type {Key} */ (keys[index]);
}
