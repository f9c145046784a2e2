import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { METRICS } from '../../src/metrics/declarations.js';
import type { VerifierHealth } from '../../src/verifier/health.js';
import type { LiveVerifier } from '../../src/verifier/live-verifier.js';
import { cli, temporaryFolder } from '../support/cli.js';
import { DOCUMENTS, ROOT, readDocument } from '../support/documents.js';
import { promtool, type Sample, samplesOf } from '../support/prometheus.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { basic, bearer, CLIENT, openServing } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

const RULES = join(ROOT, 'docs/prometheus/alerts.yml');
const DASHBOARD = join(ROOT, 'docs/grafana/jwtctl.json');
const DAY = 86_400;
/** Longer than every `for` of the alerts. */
const MINUTES = 150;
const STEPS = MINUTES / 2;

/** Metrics as they were printed. */
interface Printed {
  text: string;
  /** The metrics two minutes before, for counters. Default: the same */
  before?: string;
  /** When the rules are evaluated. */
  at: number;
}

let stores: Stores;
let healthy: Printed;
/** What is printed during each fault, by the alerts that it fires. */
const faults = new Map<string, Printed>();

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
  await stores.json('keys', 'generate', '--kid', 'k1');
  faults.set('JwtctlNoPendingKey', await printedByCommand());
  await stores.json('keys', 'generate', '--kid', 'k2');
  await stores.json('users', 'add', 'alice');
  const { token } = await stores.json('token', 'issue', '--sub', 'alice');
  const served = await serveWithFaults(token);
  const command = await printedByCommand();
  healthy = { ...served, text: `${served.text}\n${command.text}` };
  faults.set('JwtctlMetricsFileStale', { ...command, at: command.at + 3_600 });
  const memory = samplesOf(command.text).filter(({ name }) => name === 'jwtctl_registry_memory_bytes');
  const lag = 'jwtctl_event_delivery_lag_seconds 301';
  faults.set('JwtctlEventsNotDelivered', { ...healthy, text: `${healthy.text}\n${lag}` });
  const limits = memory.map(
    ({ labels, value }) => `jwtctl_registry_memory_limit_bytes{node="${labels.node}"} ${value / 0.95}`,
  );
  faults.set('JwtctlRegistryMemoryFull', { ...command, text: `${command.text}\n${limits.join('\n')}` });
  await breakStores();
}, 60_000);
afterAll(() => stores?.close());

async function printedByCommand(shell: Pick<Stores, 'run'> = stores): Promise<Printed> {
  const { stdout } = await shell.run('metrics');
  return { text: stdout, at: stores.clock.now() };
}

/** Records what a server prints during each fault. @returns what it prints without one */
async function serveWithFaults(token: string): Promise<Printed> {
  let fault: Partial<VerifierHealth> = {};
  let verify: LiveVerifier['verify'] | null = null;
  const overrides = {
    health: () => ({ ...serving.verifier.health(), ...fault }),
    verify: (candidate: string) => (verify ?? serving.verifier.verify)(candidate),
  };
  const serving = await openServing(stores, { nearCache: true });
  const broken = await openServing(stores, { nearCache: true, verifier: overrides });
  const { app } = broken;
  const printed = async (traffic: () => Promise<unknown>): Promise<Printed> => {
    const text = async () => (await app.inject({ url: '/metrics' })).body;
    const before = await text();
    await traffic();
    return { before, text: await text(), at: stores.clock.now() };
  };
  const ask = (candidate: string) => app.inject({ url: '/verify', headers: bearer(candidate) });
  const usual = async () => {
    for (let count = 0; count < 10; count++) await ask(token);
    await app.inject({ url: '/verify' });
  };
  const without = await printed(usual);

  const health = serving.verifier.health();
  const { database, registry, heartbeats, masters } = health;
  const since = stores.clock.now();
  const down = { state: 'down', since, code: 'ERR_MYSQL_UNREACHABLE' } as const;
  const [master, ...others] = masters;
  if (master === undefined) return expect.unreachable();
  const states: Array<[alerts: string, fault: Partial<VerifierHealth>]> = [
    ['JwtctlStoreUnavailable JwtctlVerifierNotReady', { isReady: false, database: { ...database, ...down } }],
    ['JwtctlStoreUnavailable', { registry: { ...registry, ...down, state: 'degraded' } }],
    ['JwtctlRegistryMasterDown', { masters: [{ ...master, code: 'ERR_REDIS_UNREACHABLE' }, ...others] }],
    ['JwtctlRegistryMasterWarning', { masters: [{ ...master, warnings: ['not_tracking'] }, ...others] }],
    ['JwtctlSecurityLogLag', { securityLog: { readAt: since - 30, eventsBehind: 0 } }],
    ['JwtctlSecurityLogBehind', { securityLog: { readAt: since, eventsBehind: 2 } }],
    ['JwtctlHeartbeatMissing', { heartbeats: { ...heartbeats, answeredAt: since - 60 } }],
  ];
  for (const [alerts, state] of states) {
    fault = state;
    faults.set(alerts, await printed(usual));
  }
  fault = {};
  const uses = { stored: 0, since, code: 'ERR_REDIS_UNREACHABLE' } as const;
  const failUses = async () => {
    fault = { uses: { ...uses, failed: 3 } };
  };
  faults.set('JwtctlUsesNotStored', await printed(failUses));
  fault = {};
  const forge = () => Promise.all(Array.from({ length: 20 }, (_, index) => ask(`x.y.${index}`)));
  faults.set('JwtctlRefusalsSurge', await printed(forge));
  verify = async () => ({
    active: true,
    header: { alg: 'RS256' },
    payload: {
      sub: 'alice',
      jti: `legacy.${'A'.repeat(43)}`,
      iat: since,
      exp: since + 60,
      iss: 'i',
      aud: 'a',
    },
  });
  faults.set('JwtctlLegacyTokensUsed', await printed(() => ask(token)));
  faults.set('JwtctlRefreshTokenReused', await printed(() => reuseRefreshToken(app)));
  for (const { close } of [broken, serving]) await close();
  return without;
}

async function reuseRefreshToken(app: Awaited<ReturnType<typeof openServing>>['app']): Promise<void> {
  const send = { method: 'POST', headers: basic(CLIENT) } as const;
  const body = { sub: 'alice', refresh: true };
  const { refreshToken } = (await app.inject({ ...send, url: '/v1/tokens', payload: body })).json();
  const headers = { ...basic(CLIENT), 'content-type': 'application/x-www-form-urlencoded' };
  const refresh = async (refresh_token: string) => {
    const payload = new URLSearchParams({ grant_type: 'refresh_token', refresh_token }).toString();
    return (await app.inject({ ...send, url: '/token', headers, payload })).json();
  };
  const { refresh_token: second } = await refresh(refreshToken);
  await refresh(second);
  expect(await refresh(refreshToken)).toMatchObject({ error: 'invalid_grant' });
}

/** Records what the command prints while the stores have a fault. */
async function breakStores(): Promise<void> {
  const [master] = [...(await (stores.redis?.keys() ?? expect.unreachable())).keys()];
  const [port] = await closedPorts(1);
  const env = { ...stores.env, JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` };
  const partial = cli({ clock: stores.clock, home: stores.home, env });
  const alerts = 'JwtctlRegistryNodeDown JwtctlRegistryScanIncomplete';
  faults.set(alerts, await printedByCommand(partial));

  await stores.query("UPDATE keystore SET id = id + 1 WHERE kid = 'k1'");
  faults.set('JwtctlTokensOfUnknownKeys', await printedByCommand());
  await stores.query("UPDATE keystore SET id = id - 1 WHERE kid = 'k1'");
  const age = async (days: number) => {
    stores.clock.advance(days * DAY);
    return printedByCommand();
  };
  faults.set('JwtctlRotationOverdue', await age(31));
  faults.set('JwtctlKeyTooOld JwtctlRotationOverdue', await age(31));
  await stores.query("UPDATE keystore SET state = 'retired' WHERE kid = 'k1'");
  faults.set('JwtctlNoActiveKey', await printedByCommand());
  const [{ revision } = {}] = await stores.query('SELECT * FROM keystore_revision');
  await stores.run('keys', 'rotate', '--now');
  await stores.query('UPDATE keystore_revision SET revision = ?', [String(revision)]);
  faults.set('JwtctlDatabaseRestored', await printedByCommand());
}

/** Turns printed metrics into series of {@link MINUTES}: counters grow by as much in each step as they did. */
function seriesOf(
  { text, before = text, at }: Printed,
  names: ReadonlySet<string> | null,
): Array<{ series: string; values: string }> {
  const earlier = new Map(ownSamples(before).map((sample) => [nameOf(sample), sample.value]));
  const kept = ownSamples(text).filter(({ name }) => names === null || names.has(name));
  return kept.map((sample) => {
    const { name, value } = sample;
    const series = nameOf(sample);
    if (name.endsWith('_timestamp_seconds'))
      return { series, values: `${value - at + MINUTES * 60}+0x${STEPS}` };
    if (!/_(total|bucket|sum|count)$/.test(name)) return { series, values: `${value}+0x${STEPS}` };
    const start = earlier.get(series) ?? 0;
    return { series, values: `${start}+${value - start}x${STEPS}` };
  });
}

function ownSamples(text: string): Sample[] {
  return samplesOf(text).filter(({ name, value }) => name.startsWith('jwtctl_') && !Number.isNaN(value));
}

function nameOf({ name, labels }: Sample): string {
  return `${name}{${Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)}}`;
}

/** Whether each expression has a value, by the labels of the result. */
function expectation(expr: string, samples: readonly string[]) {
  const exp_samples = samples.map((labels) => ({ labels, value: 1 }));
  return { expr, eval_time: `${MINUTES}m`, exp_samples };
}

const FIRING = 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0';
const firing = (alerts: readonly string[]) =>
  expectation(
    FIRING,
    alerts.map((alertname) => `{alertname="${alertname}"}`),
  );

/** Runs rules and expressions on the series with these names; null for all. */
function testRules(
  names: ReadonlySet<string> | null,
  tests: Array<{ name: string; printed: Printed; expected: ReturnType<typeof expectation>[] }>,
) {
  const file = join(temporaryFolder(), 'tests.yml');
  // JSON is also YAML.
  const document = {
    rule_files: [RULES],
    evaluation_interval: '2m',
    tests: tests.map(({ name, printed, expected }) => ({
      name,
      interval: '2m',
      input_series: seriesOf(printed, names),
      promql_expr_test: expected,
    })),
  };
  writeFileSync(file, JSON.stringify(document));
  return promtool(['test', 'rules', file]);
}

const SUCCESS = { exitCode: 0, output: expect.stringMatching(/SUCCESS/) };

interface Rule {
  alert: string;
  expr: string;
  annotations: Record<string, string>;
}
const rules: Rule[] = parse(readFileSync(RULES, 'utf8')).groups.flatMap(
  ({ rules }: { rules: Rule[] }) => rules,
);

/** Other series would only make promtool slow. */
const inRules = new Set(rules.flatMap(({ expr }) => expr.match(/\bjwtctl_\w+/g) ?? []));

test('promtool accepts the alerts', () => {
  expect(promtool(['check', 'rules', '--lint-fatal', RULES])).toEqual(SUCCESS);
});

test('no alert fires on a healthy installation', () => {
  expect(testRules(inRules, [{ name: 'healthy', printed: healthy, expected: [firing([])] }])).toEqual(
    SUCCESS,
  );
});

test('each fault fires its alerts, and no others', () => {
  const tests = [...faults].map(([alerts, printed]) => ({
    ...{ name: alerts, printed },
    expected: [firing(alerts.split(' '))],
  }));
  expect(testRules(inRules, tests)).toEqual(SUCCESS);
});

test('each alert has a fault that fires it', () => {
  const fired = [...faults.keys()].flatMap((alerts) => alerts.split(' '));
  expect([...new Set(fired)].sort()).toEqual(rules.map(({ alert }) => alert).sort());
});

test('each alert says what is wrong, and links to a runbook that exists', () => {
  const operations = readDocument('docs/operations.md');
  const anchors = [...operations.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const { alert, annotations } of rules) {
    const { summary, description, runbook_url: runbook = '' } = annotations;
    expect({ alert, summary, description }).toEqual({
      ...{ alert, summary: expect.stringMatching(/\.$/), description: expect.stringMatching(/\.$/) },
    });
    expect(operations).toContain(`| \`${alert}\` |`);
    expect({ alert, anchor: anchors.find((anchor) => runbook === `docs/operations.md#${anchor}`) }).toEqual({
      ...{ alert, anchor: expect.any(String) },
    });
  }
});

interface Panel {
  title: string;
  targets: Array<{ expr: string }>;
}
const dashboard: { panels: Panel[] } = JSON.parse(readFileSync(DASHBOARD, 'utf8'));
const queries = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

test('each query of the dashboard shows something on a healthy installation', () => {
  expect(dashboard.panels.length).toBeGreaterThan(11);
  const exprs = queries.map(({ expr }) =>
    expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
  );
  const expected = exprs.map((expr) => expectation(`count(${expr}) > bool 0`, ['{}']));
  expect(testRules(null, [{ name: 'dashboard', printed: healthy, expected }])).toEqual(SUCCESS);
});

test('every metric in the alerts, the dashboard, and the documents is printed', () => {
  const texts = [healthy, ...faults.values()].map(({ text }) => text).join('\n');
  const printed = new Set([
    ...samplesOf(texts).map(({ name }) => name),
    ...[...texts.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name),
  ]);
  const documents = DOCUMENTS.filter((name) => name !== 'CHANGELOG.md').map(readDocument);
  for (const source of [readFileSync(RULES, 'utf8'), readFileSync(DASHBOARD, 'utf8'), ...documents]) {
    const named = [...source.matchAll(/\bjwtctl_[a-z_]+_(?:total|seconds|bytes|bucket|state|up)\b/g)];
    expect(named.map(([name]) => name).filter((name) => !printed.has(name))).toEqual([]);
  }
  const inQueries = [...rules, ...queries].flatMap(({ expr }) => expr.match(/\bjwtctl_\w+/g) ?? []);
  expect(inQueries.filter((name) => !printed.has(name))).toEqual([]);
  expect(Object.keys(METRICS).filter((name) => !printed.has(name))).toEqual([]);
});
