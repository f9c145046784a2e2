// @ts-check
/**
 * How many requests a second `/verify` of `jwtctl serve` answers with two workers: the token verified with all four
 * checks, against the stores.
 *
 * The peer is a Fastify handler in two workers that answers 200 with the same headers and checks nothing: nothing that is
 * built on Fastify can be faster. The load generator, and for the product the stores, take their share of the same cores.
 */
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { issueTokens } from './support/issued.mjs';
import { startProgram } from './support/programs.mjs';
import { count, ratioAtLeast } from './support/report.mjs';

export const WORKERS = 2;
const CONNECTIONS = 64;
const SECONDS = 5;
const BARE_SERVER = fileURLToPath(new URL('support/bare-server.mjs', import.meta.url));

export const LISTENING = /"port":(\d+).*"msg":"listening"/;

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const serve = {
  name: 'serve',
  summary: '`/verify` of `serve --workers 2`, against a Fastify handler that checks nothing',
  sizes: { rounds: 3, tokens: 5000, subjects: 1000 },

  async run({ stores, sizes, say }) {
    const installation = await stores.product();
    const { product } = installation;
    const tokens = await issueTokens(installation, sizes);
    const server = product.start(['serve', '--port', '0', '--workers', String(WORKERS)]);
    const bare = startProgram(process.execPath, [BARE_SERVER, String(WORKERS)], {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      const [port, barePort] = await Promise.all([
        portOf(server, LISTENING),
        portOf(bare, /^listening (\d+)$/m),
      ]);
      // The first round does not count: it warms up.
      for (const warmed of [port, barePort]) await requestsPerSecond(warmed, tokens);

      /** @type {number[]} */
      const own = [];
      /** @type {number[]} */
      const others = [];
      for (let round = 1; round <= sizes.rounds; round++) {
        own.push(await requestsPerSecond(port, tokens));
        others.push(await requestsPerSecond(barePort, tokens));
        say(`round ${round}: ${perSecond(own.at(-1) ?? 0)}, peer ${perSecond(others.at(-1) ?? 0)}`);
      }
      const series = /** @type {const} */ ([
        { name: 'jwtctl serve: /verify', samples: own, format: perSecond },
        { name: 'Fastify, checking nothing', samples: others, format: perSecond },
      ]);
      return { series: [...series], verdicts: [ratioAtLeast(series, 0.5)] };
    } finally {
      for (const child of [server, bare]) child.kill('SIGKILL');
    }
  },
};

/**
 * Resolves once every worker listens.
 *
 * @param {import('node:child_process').ChildProcess} server
 * @param {RegExp} listening
 * @returns {Promise<number>}
 */
export function portOf(server, listening) {
  return new Promise((resolve, reject) => {
    let text = '';
    let left = WORKERS;
    server.on('exit', (code) => reject(new Error(`A server ended with ${code}: ${text}`)));
    server.stderr?.setEncoding('utf8').on('data', (/** @type {string} */ piece) => {
      for (const line of piece.trimEnd().split('\n')) {
        text = `${text}${line}\n`.slice(-2000);
        const port = listening.exec(line)?.[1];
        if (port !== undefined && --left === 0) resolve(Number(port));
      }
    });
  });
}

/**
 * Each connection goes round with a share of the tokens that no other has.
 *
 * @param {number} port
 * @param {readonly string[]} tokens
 * @param {string} [path]
 */
export async function requestsPerSecond(port, tokens, path = '/verify') {
  let next = 0;
  const share = Math.ceil(tokens.length / CONNECTIONS);
  const result = await autocannon({
    url: `http://127.0.0.1:${port}${path}`,
    connections: CONNECTIONS,
    duration: SECONDS,
    setupClient: (client) => {
      const own = tokens.slice(next, next + share);
      next += share;
      client.setRequests(
        own.map((token) => ({ method: 'GET', headers: { authorization: `Bearer ${token}` } })),
      );
    },
  });
  if (result.non2xx > 0 || result.errors > 0 || result.timeouts > 0) {
    throw new Error(
      `${result.non2xx} requests were refused, ${result.errors} failed, ${result.timeouts} timed out.`,
    );
  }
  return result.requests.total / result.duration;
}

/** @param {number} value */
export function perSecond(value) {
  return `${count(Math.round(value))}/s`;
}
