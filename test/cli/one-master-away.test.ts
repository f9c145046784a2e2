import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cli, cli } from '../support/cli.js';
import { objectsIn } from '../support/ndjson.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { openStores, type Stores } from '../support/stores.js';

const SUBS = Array.from({ length: 30 }, (_, index) => `user-${index}`);
const LINES = SUBS.map((sub) => `${sub}\n`).join('');

let stores: Stores;
/** The same command line on a host that cannot reach one of three masters: the one with the high-water marks. */
let withMasterAway: Cli;
/** The subjects on that master. */
let unreachable: string[];

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster', { JWTCTL_TIMEOUT: '1s' });
  stores.env.JWTCTL_REGISTRY_MAX_PER_SUBJECT = '2';
  await stores.json('keys', 'generate', '--kid', 'k1');
  const imported = await stores.run('users', 'import', '-', { stdin: `sub\n${LINES}` });
  expect(imported.exitCode).toBe(0);
  await issue(stores);
  await issue(stores);
  const byMaster = await (stores.redis?.keys() ?? expect.unreachable());
  const holdsMarks = `${stores.redis?.prefix}:marks`;
  const [master, names] =
    [...byMaster].find(([, found]) => found.includes(holdsMarks)) ?? expect.unreachable();
  unreachable = names.flatMap((name) => /\{(.*)\}/.exec(name)?.[1] ?? []);
  expect(unreachable.length).toBeGreaterThan(0);
  const { clock, home, env } = stores;
  const [port] = await closedPorts(1);
  withMasterAway = cli({
    ...{ clock, home, env: { ...env, JWTCTL_REDIS_NAT_MAP: `${master}=127.0.0.1:${port}` } },
  });
});
afterAll(() => stores?.close());

interface Issued {
  sub: string;
  jti: string;
  token: string;
}

async function issue(shell: Cli) {
  const { exitCode, stdout, stderr } = await shell.run(
    ...['token', 'issue', '--sub-file', '-', '-o', 'ndjson'],
    { stdin: LINES },
  );
  return { exitCode, issued: objectsIn(stdout) as Issued[], told: objectsIn(stderr) };
}

async function jtis(sub: string): Promise<string[]> {
  const rows: Array<{ jti: string }> = await stores.json('token', 'list', '--sub', sub);
  return rows.map(({ jti }) => jti).sort();
}

const reachable = () => SUBS.filter((sub) => !unreachable.includes(sub));

test('bulk issue: subjects on other masters get tokens, and each line for the lost master fails and changes nothing', async () => {
  const before = new Map<string, string[]>();
  for (const sub of SUBS) before.set(sub, await jtis(sub));

  const { exitCode, issued, told } = await issue(withMasterAway);

  expect(exitCode).toBe(5);
  expect(issued.map(({ sub }) => sub)).toEqual(reachable());
  const failed = told.flatMap(({ line, lastLine, error }) =>
    error === undefined ? [] : SUBS.slice(line - 1, lastLine ?? line),
  );
  expect(failed).toEqual(SUBS.filter((sub) => unreachable.includes(sub)));
  for (const { error } of told) if (error !== undefined) expect(error.code).toMatch(/^ERR_REDIS_/);
  expect(told.at(-1)).toMatchObject({
    summary: { issued: issued.length, failed: unreachable.length, lastLine: 30, complete: true },
  });
  for (const { sub, jti } of issued) expect(await jtis(sub)).toContain(jti);
  for (const sub of SUBS) {
    const now = await jtis(sub);
    expect(now).toHaveLength(2);
    if (unreachable.includes(sub)) expect(now).toEqual(before.get(sub));
  }
});

test('token register --token-file: other masters work, and each line for the lost master fails', async () => {
  const { issued } = await issue(stores);
  expect(issued).toHaveLength(30);
  const stdin = issued.map(({ token }) => `${token}\n`).join('');
  const { exitCode, stdout } = await withMasterAway.run(
    ...['token', 'register', '--token-file', '-', '-o', 'ndjson'],
    { stdin },
  );
  expect(exitCode).toBe(5);
  expect(objectsIn(stdout).map(({ sub }) => sub)).toEqual(reachable());
});

test('cache restore: entries on other masters come back, and the rest is reported as missed', async () => {
  const file = join(stores.home, 'snapshot');
  await stores.json('cache', 'snapshot', file);
  await stores.json('cache', 'flush', '--all', '--yes');
  const { exitCode, json } = await withMasterAway.run('cache', 'restore', file, '--json');
  expect({ exitCode, report: json() }).toMatchObject({
    exitCode: 5,
    report: { restored: 2 * reachable().length, complete: false },
  });
  for (const sub of SUBS) expect(await jtis(sub)).toHaveLength(unreachable.includes(sub) ? 0 : 2);
  expect(await stores.json('cache', 'restore', file)).toMatchObject({ restored: 2 * unreachable.length });
});
