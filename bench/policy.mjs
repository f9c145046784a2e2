// @ts-check
/**
 * What a policy and two headers with claims cost: `/verify/@orders` of one server, against `/verify` of another one without these
 * settings, with the same tokens.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LISTENING, perSecond, portOf, requestsPerSecond, WORKERS } from './serve.mjs';
import { issueTokens } from './support/issued.mjs';
import { ratioAtLeast } from './support/report.mjs';

const CLAIMS = ['--claim', 'scope=openid orders:read orders:write', '--claim', 'role=admin'];
const SETTINGS = {
  serve: {
    headers: { 'X-User-Role': 'role', 'X-User-Groups': 'groups' },
    policies: {
      orders: { scope: ['orders:read', 'orders:write'], claims: { role: 'admin' }, maxAge: '12h' },
    },
  },
};

/** @type {import('./support/benchmark.mjs').Benchmark} */
export const policy = {
  name: 'policy',
  summary: '`/verify/@POLICY` with two headers, against `/verify` without',
  sizes: { rounds: 3, tokens: 5000, subjects: 1000 },

  async run({ stores, sizes, say }) {
    const installation = await stores.product();
    const { product, folder } = installation;
    const tokens = await issueTokens(installation, sizes, [...CLAIMS, '--claim', 'groups=["ops","café"]']);
    const config = join(folder, 'policy.json');
    writeFileSync(config, JSON.stringify(SETTINGS), { mode: 0o600 });
    const flags = ['serve', '--port', '0', '--workers', String(WORKERS)];
    const [asked, plain] = [product.start([...flags, '--config', config]), product.start(flags)];
    try {
      const [port, plainPort] = await Promise.all([portOf(asked, LISTENING), portOf(plain, LISTENING)]);
      const withPolicy = () => requestsPerSecond(port, tokens, '/verify/@orders');
      const without = () => requestsPerSecond(plainPort, tokens);
      // The first round does not count: it warms up.
      for (const warm of [withPolicy, without]) await warm();

      /** @type {number[]} */
      const own = [];
      /** @type {number[]} */
      const others = [];
      for (let round = 1; round <= sizes.rounds; round++) {
        own.push(await withPolicy());
        others.push(await without());
        say(`round ${round}: ${perSecond(own.at(-1) ?? 0)}, without ${perSecond(others.at(-1) ?? 0)}`);
      }
      const series = /** @type {const} */ ([
        { name: 'a policy and two headers', samples: own, format: perSecond },
        { name: 'neither', samples: others, format: perSecond },
      ]);
      return { series: [...series], verdicts: [ratioAtLeast(series, 0.9)] };
    } finally {
      for (const child of [asked, plain]) child.kill('SIGKILL');
    }
  },
};
