// @ts-check
/**
 * How many logins (`POST /v1/tokens`) and refreshes (`POST /token`) a second `jwtctl serve` answers with two workers, with 64
 * requests in flight: each token is signed, registered in the cluster, and checked against MariaDB.
 *
 * The peer of logins is `openssl speed rsa2048` in two processes, which does nothing but sign. The peer of refreshes is the
 * same server, which signs and asks MariaDB, but stores nothing in Redis. The load generator and the stores take their share
 * of the same cores.
 */
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { LISTENING, portOf } from './serve.mjs';
import { bundle } from './support/bundle.mjs';
import { issueTokens } from './support/issued.mjs';
import { signaturesPerSecond } from './support/openssl.mjs';
import { startProgram } from './support/programs.mjs';
import { count, ratioAtLeast } from './support/report.mjs';
import { subjectName } from './support/tokens.mjs';

const WORKERS = 2;
const CONNECTIONS = 64;
const SECONDS = 5;
const SIZES = { rounds: 3, tokens: 1000, subjects: 1000 };
const UNREGISTERED_SERVER = fileURLToPath(new URL('support/unregistered-server.mjs', import.meta.url));
const SECRET = randomBytes(24).toString('hex');
const CLIENTS = {
  JWTCTL_SERVE_CLIENTS: JSON.stringify([
    {
      id: 'bench',
      secretSha256: createHash('sha256').update(SECRET).digest('hex'),
      may: ['issue', 'refresh'],
    },
  ]),
};
const AUTHORIZATION = `Basic ${Buffer.from(`bench:${SECRET}`).toString('base64')}`;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const logins = {
  name: 'logins',
  summary: '`POST /v1/tokens` of `serve --workers 2`, against `openssl speed rsa2048` in two processes',
  sizes: SIZES,

  async run({ stores, sizes, say }) {
    const installation = await stores.product();
    await issueTokens(installation, sizes);
    const server = startServer(installation.product);
    try {
      const port = await portOf(server, LISTENING);
      await loginsPerSecond(port, sizes);
      /** @type {number[]} */
      const own = [];
      /** @type {number[]} */
      const others = [];
      for (let round = 1; round <= sizes.rounds; round++) {
        own.push(await loginsPerSecond(port, sizes));
        others.push(await signaturesPerSecond(WORKERS));
        say(`round ${round}: ${perSecond(own.at(-1) ?? 0)}, peer ${perSecond(others.at(-1) ?? 0)}`);
      }
      const series = /** @type {const} */ ([
        { name: 'jwtctl serve: POST /v1/tokens', samples: own, format: perSecond },
        { name: 'openssl speed -multi 2 rsa2048', samples: others, format: perSecond },
      ]);
      return { series: [...series], verdicts: [ratioAtLeast(series, 0.5)] };
    } finally {
      server.kill('SIGKILL');
    }
  },
};

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const refreshes = {
  name: 'refreshes',
  summary: '`POST /token` of `serve --workers 2`, against the same server without what it stores in Redis',
  sizes: SIZES,

  async run({ stores, sizes, say }) {
    const installation = await stores.product();
    await issueTokens(installation, sizes);
    const server = startServer(installation.product);
    const unregistered = startProgram(
      process.execPath,
      [await bundle(UNREGISTERED_SERVER), String(WORKERS)],
      { env: { ...installation.product.env, ...CLIENTS }, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    try {
      const [port, peerPort] = await Promise.all([
        portOf(server, LISTENING),
        portOf(unregistered, LISTENING),
      ]);
      const sessions = await Promise.all(
        Array.from({ length: CONNECTIONS }, (_, index) => logIn(port, subjectName(index % sizes.subjects))),
      );
      const others = [...sessions];
      // The first round does not count: it warms up.
      await refreshesPerSecond(port, sessions);
      await refreshesPerSecond(peerPort, others);
      /** @type {number[]} */
      const own = [];
      /** @type {number[]} */
      const peer = [];
      for (let round = 1; round <= sizes.rounds; round++) {
        own.push(await refreshesPerSecond(port, sessions));
        peer.push(await refreshesPerSecond(peerPort, others));
        say(`round ${round}: ${perSecond(own.at(-1) ?? 0)}, peer ${perSecond(peer.at(-1) ?? 0)}`);
      }
      const series = /** @type {const} */ ([
        { name: 'jwtctl serve: POST /token', samples: own, format: perSecond },
        { name: 'the same, storing nothing in Redis', samples: peer, format: perSecond },
      ]);
      return { series: [...series], verdicts: [ratioAtLeast(series, 0.6)] };
    } finally {
      for (const child of [server, unregistered]) child.kill('SIGKILL');
    }
  },
};

/** @param {import('./support/product.mjs').Product} product */
function startServer(product) {
  return product.start(['serve', '--port', '0', '--workers', String(WORKERS)], CLIENTS);
}

/**
 * @param {number} port
 * @param {{ subjects: number }} sizes
 */
function loginsPerSecond(port, { subjects }) {
  let next = 0;
  return answersPerSecond({
    url: `http://127.0.0.1:${port}/v1/tokens`,
    setupClient: (client) => {
      client.setRequests(
        Array.from({ length: Math.ceil(subjects / CONNECTIONS) }, () => ({
          method: 'POST',
          headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
          body: JSON.stringify({ sub: subjectName(next++ % subjects) }),
        })),
      );
    },
  });
}

/**
 * Each connection refreshes a session of its own, with the refresh token of the last answer.
 *
 * @param {number} port
 * @param {string[]} refreshTokens is updated
 */
function refreshesPerSecond(port, refreshTokens) {
  let connected = 0;
  return answersPerSecond({
    url: `http://127.0.0.1:${port}/token`,
    setupClient: (client) => {
      const own = connected++ % CONNECTIONS;
      client.setRequests([
        {
          method: 'POST',
          headers: { authorization: AUTHORIZATION, 'content-type': 'application/x-www-form-urlencoded' },
          body: refreshForm(refreshTokens[own] ?? ''),
        },
      ]);
      client.on('body', (/** @type {Buffer} */ body) => {
        const next = /"refresh_token":"([^"]+)"/.exec(body.toString('latin1'))?.[1];
        if (next === undefined) return;
        refreshTokens[own] = next;
        client.setBody(refreshForm(next));
      });
    },
  });
}

/** @param {string} refreshToken */
function refreshForm(refreshToken) {
  return `grant_type=refresh_token&refresh_token=${refreshToken}`;
}

/** @param {Omit<import('autocannon').Options, 'connections' | 'duration'>} options */
async function answersPerSecond(options) {
  const result = await autocannon({ ...options, connections: CONNECTIONS, duration: SECONDS });
  if (result.non2xx > 0 || result.errors > 0 || result.timeouts > 0) {
    throw new Error(
      `${result.non2xx} requests were refused, ${result.errors} failed, ${result.timeouts} timed out.`,
    );
  }
  return result.requests.total / result.duration;
}

/**
 * @param {number} port
 * @param {string} sub
 * @returns {Promise<string>} the refresh token
 */
async function logIn(port, sub) {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: AUTHORIZATION, 'content-type': 'application/json' },
    body: JSON.stringify({ sub, refresh: true }),
  });
  return (await json(answer)).refreshToken;
}

/**
 * @param {Response} answer
 * @returns {Promise<any>}
 */
function json(answer) {
  if (!answer.ok) throw new Error(`A request got ${answer.status}.`);
  return answer.json();
}

/** @param {number} value */
function perSecond(value) {
  return `${count(Math.round(value))}/s`;
}
