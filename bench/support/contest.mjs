// @ts-check
/**
 * Verifies the same tokens in several ways in one process, in turn: node contest.mjs NAME TOKENS_FILE ROUNDS. Tells its
 * parent the verifications a second of each way and round. The settings of jwtctl come from the environment.
 */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createVerifier as createFastVerifier } from 'fast-jwt';
import { Cluster } from 'ioredis';
import { importJWK, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';

// What is measured is the build; its sources say what it is.
/** @type {typeof import('../../src/index.js')} */
const { openVerifier } = await import(new URL('../../dist/index.js', import.meta.url).href);

const AT_ONCE = 256;
const EXPECTED = { issuer: 'jwtctl', audience: 'user' };

/** @typedef {(place: number) => unknown} Verify rejects, or throws, where the token is not accepted */
/** @typedef {{ verifications: number, open: () => Promise<Verify>, isOpenedAnew?: boolean }} Way */

const [, , contest = '', file = '', rounds = '1'] = process.argv;
const tokens = readFileSync(file, 'latin1').trimEnd().split('\n');
const texts = tokens.map((token) => Buffer.from(token, 'latin1'));
const subs = tokens.map(
  (token) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub,
);
/** The writes of the way that stores when tokens are used. */
let writes = () => 0;
/** Closes what was opened. @type {Array<() => unknown>} */
const closes = [];

/** A string of its own each time, as from a socket. @param {number} place */
function tokenAt(place) {
  return (texts[place] ?? Buffer.alloc(0)).toString('latin1');
}

/** @param {boolean} nearCache @param {string} [idleTimeout] @returns {Promise<Verify>} */
async function openOurs(nearCache, idleTimeout) {
  if (idleTimeout !== undefined) process.env.JWTCTL_TOKEN_IDLE_TIMEOUT = idleTimeout;
  const verifier = await openVerifier({ nearCache });
  delete process.env.JWTCTL_TOKEN_IDLE_TIMEOUT;
  closes.push(() => verifier.close());
  if (idleTimeout !== undefined && !nearCache) writes = () => verifier.health().uses?.stored ?? 0;
  return async (place) => {
    const result = await verifier.verify(tokenAt(place));
    if (!result.active) throw new Error(result.error.code);
  };
}

async function publicJwk() {
  const verifier = await openVerifier();
  const { keys } = await verifier.jwkSet();
  await verifier.close();
  const { kid } = JSON.parse(Buffer.from((tokens[0] ?? '').split('.')[0] ?? '', 'base64url').toString());
  const jwk = keys.find((key) => key.kid === kid);
  if (jwk === undefined) throw new Error('The key of the tokens is not in the JWK Set.');
  return jwk;
}

async function publicPem() {
  const key = createPublicKey({ key: { ...(await publicJwk()) }, format: 'jwk' });
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** A client with two keys for each subject, in one slot: an entry, and the user. @param {boolean} enableAutoPipelining */
async function openClient(enableAutoPipelining) {
  const nodes = (process.env.JWTCTL_REDIS_NODES ?? '').split(',').map((node) => {
    const [host, port] = node.split(':');
    return { host, port: Number(port) };
  });
  const client = new Cluster(nodes, { enableAutoPipelining });
  closes.push(() => client.disconnect());
  await Promise.all([...new Set(subs)].flatMap((sub) => keysOf(sub).map((key) => client.set(key, '1'))));
  return client;
}

/** @param {string} sub @returns {[string, string]} */
function keysOf(sub) {
  return [`entry:{${sub}}`, `user:{${sub}}`];
}

/** @param {unknown[]} found */
function assertThere(found) {
  if (found.some((value) => value === null)) throw new Error('A key is missing.');
}

async function openMget() {
  const client = await openClient(true);
  return async (/** @type {number} */ place) => assertThere(await client.mget(keysOf(subs[place])));
}

async function openFastJwt() {
  const options = {
    key: await publicPem(),
    cache: 10_000,
    allowedIss: EXPECTED.issuer,
    allowedAud: EXPECTED.audience,
  };
  return createFastVerifier(options);
}

/** @type {Record<string, Record<string, Way>>} */
const CONTESTS = {
  verify: {
    ours: { verifications: 200_000, open: () => openOurs(false) },
    mget: { verifications: 100_000, open: openMget },
    fastJwt: {
      verifications: 60_000,
      open: async () => {
        const [verify, mget] = [await openFastJwt(), await openMget()];
        return (place) => {
          verify(tokenAt(place));
          return mget(place);
        };
      },
    },
    jsonwebtoken: {
      verifications: 10_000,
      open: async () => {
        const [pem, client] = [await publicPem(), await openClient(false)];
        return async (place) => {
          jsonwebtoken.verify(tokenAt(place), pem, { ...EXPECTED, algorithms: ['RS256'] });
          const [entry, user] = keysOf(subs[place]);
          assertThere(await Promise.all([client.get(entry), client.get(user)]));
        };
      },
    },
  },
  first: {
    ours: { verifications: tokens.length, open: () => openOurs(false), isOpenedAnew: true },
    jose: {
      verifications: tokens.length,
      open: async () => {
        const key = await importJWK({ ...(await publicJwk()) }, 'RS256');
        return (place) => jwtVerify(tokenAt(place), key, EXPECTED);
      },
    },
  },
  idle: {
    idle: { verifications: 200_000, open: () => openOurs(false, '30s') },
    plain: { verifications: 200_000, open: () => openOurs(false) },
    nearIdle: { verifications: 1_000_000, open: () => openOurs(true, '30s') },
    near: { verifications: 1_000_000, open: () => openOurs(true) },
  },
  near: {
    ours: { verifications: 1_000_000, open: () => openOurs(true) },
    fastJwt: {
      verifications: 300_000,
      open: async () => {
        const verify = await openFastJwt();
        return async (place) => verify(tokenAt(place));
      },
    },
  },
};

/** @param {Verify} verify @param {number} verifications @returns {Promise<number>} a second */
async function measure(verify, verifications) {
  let next = 0;
  const began = process.hrtime.bigint();
  const goOn = async () => {
    while (next < verifications) await verify(next++ % tokens.length);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, goOn));
  return verifications / (Number(process.hrtime.bigint() - began) / 1e9);
}

const ways = Object.entries(CONTESTS[contest] ?? {});
/** @type {Record<string, number[]>} */
const samples = Object.fromEntries(ways.map(([name]) => [name, []]));
/** Per verification. @type {number[]} */
const writesEach = [];
/** @type {Map<string, Verify>} */
const opened = new Map();
// The first round does not count: it compiles and connects.
for (let round = 0; round <= Number(rounds); round++) {
  for (const [name, { open, verifications, isOpenedAnew }] of ways) {
    const known = isOpenedAnew ? undefined : opened.get(name);
    const verify = known ?? (await open());
    opened.set(name, verify);
    const before = writes();
    const perSecond = await measure(verify, verifications);
    if (round > 0) samples[name]?.push(perSecond);
    if (round > 0 && name === 'idle') writesEach.push((writes() - before) / verifications);
  }
}
for (const close of closes) await close();
process.stdout.write(`${JSON.stringify({ ...samples, writes: writesEach })}\n`);
