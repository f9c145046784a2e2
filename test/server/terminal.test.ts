import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../support/free-port.js';
import { runOnTerminal, type Step } from '../support/pseudo-terminal.js';
import { get, startServed } from '../support/served.js';
import { bearer } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const SECRET = 'a'.repeat(64);
const CTRL_C = '\x03';

describe('serve on a terminal', () => {
  let stores: Stores;
  let revoked: string;

  beforeAll(async () => {
    stores = await openStores('SQLite');
    await stores.json('keys', 'generate');
    await stores.json('users', 'add', 'alice');
    const issued = await stores.json('token', 'issue', '--sub', 'alice');
    await stores.json('token', 'revoke', '--sub', 'alice', '--jti', issued.jti);
    revoked = issued.token;
  });
  afterAll(() => stores?.close());

  /** Asks once the server listens, if at all, and stops it with Ctrl-C after the last step. */
  async function serve(
    { env = {}, flags = [], steps = [] }: { env?: Record<string, string>; flags?: string[]; steps?: Step[] },
    ask?: (port: number) => Promise<unknown>,
  ) {
    const port = ask === undefined ? 0 : await freePort();
    const running = runOnTerminal(
      { env: { JWTCTL_SERVE_DRAIN: '1', ...stores.env, ...env }, cwd: stores.home, columns: 80 },
      [...steps, { waitFor: steps.length === 0 ? 'Ctrl-C' : '\n', type: CTRL_C }],
      ...['serve', '--port', String(port), ...flags],
    );
    // Fails only if the server never listens, which the result explains.
    await vi.waitFor(() => ask?.(port), { timeout: 15_000, interval: 50 }).catch(() => {});
    const { exitCode, output } = await running;
    const lines = output.split('\r\n');
    const greeting = lines.slice(lines.findIndex((line) => line.startsWith('Listening on')));
    return { exitCode, output, lines, greeting };
  }

  const refusal: Step = { waitFor: 'ERR_TOKEN_REVOKED', type: '' };
  const askRefused = (port: number) => get(port, '/verify?x=query', bearer(revoked));

  test('shows its URL, its routes, and how to stop, in 80 columns', async () => {
    const { exitCode, output, lines, greeting } = await serve({ env: { NO_COLOR: '1' } });
    expect(exitCode, output).toBe(0);
    expect(greeting.slice(0, 10)).toEqual([
      expect.stringMatching(/^Listening on http:\/\/127\.0\.0\.1:[1-9]\d*$/),
      '',
      'any    /verify                 Whether the request may pass',
      'GET    /.well-known/jwks.json  The public keys (RFC 7517)',
      'GET    /healthz                Whether the process runs',
      'GET    /readyz                 Whether this instance can verify',
      'GET    /metrics                Metrics for Prometheus',
      'GET    /openapi.json           This API as OpenAPI 3.1',
      '',
      'Accepted tokens are logged only at the level debug (--serve-log-level debug).',
    ]);
    expect(lines).toContain('Press Ctrl-C to stop. Press it twice to stop at once.');
    expect(output).toMatch(/\^C\r\n\d\d:\d\d:\d\d\.\d{3}Z info {2}stopping: .* drainSeconds=1\r\n/);
    for (const kept of ['{', '\x1b']) expect(output).not.toContain(kept);
  });

  test('shows the routes that a client may use, and those that settings turn on', async () => {
    const client = { id: 'app', secretSha256: SECRET, may: ['issue', 'revoke', 'users'] };
    const env = {
      NO_COLOR: '1',
      JWTCTL_SERVE_CLIENTS: JSON.stringify([client]),
      JWTCTL_SERVE_POLICIES: JSON.stringify({ orders: { aud: 'orders' }, 'a-b': { scope: ['x'] } }),
      JWTCTL_SERVE_LOGOUT: 'true',
      JWTCTL_SERVE_PUBLIC_URL: 'https://auth.example.com',
      JWTCTL_TOKEN_ISSUER: 'https://auth.example.com',
    };
    const { exitCode, output, greeting } = await serve({ env });
    expect(exitCode, output).toBe(0);
    const last = greeting.findIndex((line) => line.startsWith('Press'));
    for (const line of greeting.slice(0, last)) expect(stringWidth(line), line).toBeLessThanOrEqual(80);
    const routes = greeting.flatMap(
      (line) => /^(any|[A-Z]+) +(\/\S+)/.exec(line)?.slice(1, 3).join(' ') ?? [],
    );
    expect(routes).toEqual([
      ...['any /verify', 'any /verify/@NAME', 'POST /logout', 'POST /v1/tokens', 'POST /revoke'],
      ...['DELETE /v1/users/{sub}/tokens', 'DELETE /v1/users/{sub}/tokens/{jti}'],
      ...['PUT /v1/users/{sub}', 'PATCH /v1/users/{sub}', 'DELETE /v1/users/{sub}'],
      'POST /v1/users/{sub}/refresh',
      'GET /.well-known/jwks.json',
      'GET /.well-known/openid-configuration',
      'GET /.well-known/oauth-authorization-server',
      ...['GET /healthz', 'GET /readyz', 'GET /metrics', 'GET /openapi.json'],
    ]);
    expect(output).not.toContain(SECRET);
  });

  test('with NO_COLOR, a refused token is one line without color, token, or query', async () => {
    const { exitCode, output, lines } = await serve({ env: { NO_COLOR: '1' }, steps: [refusal] }, askRefused);
    expect(exitCode, output).toBe(0);
    expect(lines.filter((line) => line.includes('ERR_TOKEN_REVOKED'))).toEqual([
      expect.stringMatching(
        /^\d\d:\d\d:\d\d\.\d{3}Z info {2}GET \/verify 401 \d+(\.\d)? ms ERR_TOKEN_REVOKED The token has been revoked\.$/,
      ),
    ]);
    expect(output).not.toContain(revoked.slice(0, 20));
    expect(output).not.toContain('query');
    expect(output).not.toContain('\x1b');
  });

  test('with color, the words are the same', async () => {
    const { output } = await serve({ steps: [refusal] }, askRefused);
    expect(output).toContain('\x1b[33m401\x1b[39m');
    expect(stripVTControlCharacters(output)).toMatch(
      /Z info {2}GET \/verify 401 \S+ ms ERR_TOKEN_REVOKED The/,
    );
  });

  test('--no-color shows no color', async () => {
    const { output } = await serve({ flags: ['--no-color'] });
    expect(output).toContain('Listening on http://127.0.0.1:');
    expect(output).not.toContain('\x1b');
  });

  test('with workers, greets once and shows the lines of all of them', async () => {
    const { exitCode, output, lines } = await serve({
      env: { NO_COLOR: '1' },
      flags: ['--workers', '2'],
      steps: [{ waitFor: '] listening host=', type: '' }],
    });
    expect(exitCode, output).toBe(0);
    expect(lines.filter((line) => line.startsWith('Listening on'))).toHaveLength(1);
    const pids = lines.flatMap((line) => /^\S+Z info {2}\[(\d+)\] stopped$/.exec(line)?.[1] ?? []);
    expect(new Set(pids).size).toBe(2);
    expect(output).not.toContain('{"');
  });

  test('--quiet shows log lines only', async () => {
    const { output, lines } = await serve({
      env: { NO_COLOR: '1' },
      flags: ['--quiet'],
      steps: [{ waitFor: 'listening', type: '' }],
    });
    expect(lines[0], output).toMatch(
      /^\S+Z info {2}listening host=127\.0\.0\.1 port=\d+ tls=false clients=0$/,
    );
    expect(output).not.toContain('Ctrl-C');
  });

  test('--json shows JSON', async () => {
    const { lines } = await serve({
      flags: ['--json'],
      steps: [{ waitFor: 'listening', type: '' }],
    });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', msg: 'listening', host: '127.0.0.1' });
  });

  test('a pipe gets JSON lines, even if color is forced', async () => {
    const served = await startServed({ ...stores.env, FORCE_COLOR: '1' });
    try {
      await askRefused(served.port);
      await vi.waitFor(() => expect(served.lines()).toHaveLength(2));
      const [listening, refused] = served.lines();
      expect(Object.keys(listening)).toEqual([
        'level',
        'time',
        'pid',
        'host',
        'port',
        'tls',
        'clients',
        'msg',
      ]);
      expect(Object.keys(refused)).toEqual(
        'level time pid requestId method route status code durationMs msg'.split(' '),
      );
    } finally {
      await served.kill();
    }
  });
});
