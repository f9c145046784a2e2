import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/app/clock.js';
import type { JwtctlError } from '../../src/domain/shared/errors.js';
import { openLiveVerifier } from '../../src/verifier/open-live-verifier.js';
import { type Cli, cli } from '../support/cli.js';
import { openContext } from '../support/opened-context.js';
import { administer, freshMysqlDatabase } from '../support/servers.js';
import { openStores, type Stores } from '../support/stores.js';

type Step = () => Promise<string>;

const MISSING = /\b([A-Z]+) on the table (\w+)/;

let stores: Stores;
let database: Awaited<ReturnType<typeof freshMysqlDatabase>>;
/** Of the database, and of the account of the operator. */
let name = '';
let operator: Cli;
const accounts: string[] = [];

beforeAll(async () => {
  stores = await openStores('MariaDB and a Redis Cluster');
  database = await freshMysqlDatabase();
  name = new URL(database.url).pathname.slice(1);
  operator = as(name);
});
afterAll(async () => {
  await administer(...accounts.map((account) => `DROP USER IF EXISTS '${account}'`));
  await database?.drop();
  await stores?.close();
});

function as(account: string): Cli {
  const url = new URL(database.url);
  Object.assign(url, { username: account, password: 'least' });
  accounts.push(account);
  return cli({ home: stores.home, env: { ...stores.env, JWTCTL_MYSQL_URL: url.href } });
}

async function printed(account: string): Promise<string[]> {
  const { lines } = await operator.run('init', '--print-grants', account);
  return lines().map((statement) => statement.replace('<password>', "'least'"));
}

/** Returns what the statements grant, such as `INSERT on users`. */
function rightsIn(statements: readonly string[]): string[] {
  return statements.flatMap((statement) => {
    const [, privileges = '', table] = /^GRANT ([A-Z, ]+) ON `\w+`\.`(\w+)` TO /.exec(statement) ?? [];
    return table === undefined ? [] : privileges.split(', ').map((privilege) => `${privilege} on ${table}`);
  });
}

function statementOf(verb: 'GRANT' | 'REVOKE', right: string, account: string): string {
  const [privilege, table] = right.split(' on ');
  return `${verb} ${privilege} ON ${name}.${table} ${verb === 'GRANT' ? 'TO' : 'FROM'} '${account}'`;
}

/** Repeats each step, and grants the right that its message names, until it needs no more. Returns these rights. */
async function demandedBy(account: string, steps: readonly Step[]): Promise<string[]> {
  const demanded: string[] = [];
  for (const step of steps) {
    for (let text = await step(); text !== ''; text = await step()) {
      const [, privilege, table] = MISSING.exec(text) ?? [];
      const right = `${privilege} on ${table}`;
      if (table === undefined || demanded.includes(right)) throw new Error(`After ${demanded}: ${text}`);
      await administer(statementOf('GRANT', right, account));
      demanded.push(right);
    }
  }
  return demanded;
}

/** A step that returns what a command says if it fails, or lacks a right. */
function running(shell: Cli, ...words: string[]): Step {
  return async () => {
    const { exitCode, stderr } = await shell.run(...words);
    return exitCode !== 0 || MISSING.test(stderr) ? `${words.join(' ')}: ${stderr}` : '';
  };
}

test('creating the schema needs each right that is printed for it, and names the one that is missing', async () => {
  const statements = await printed('operator');
  const service = rightsIn(await printed('service'));
  const forSchema = rightsIn(statements).filter((right) => !service.includes(right));
  await administer(...statements, ...forSchema.map((right) => statementOf('REVOKE', right, name)));

  const demanded = await demandedBy(name, [running(operator, 'db', 'migrate')]);

  expect(demanded.sort()).toEqual(forSchema.sort());
});

test('everything else needs each right that is printed for it, and names the one that is missing', async () => {
  const account = `${name}_service`;
  const service = as(account);
  service.env.JWTCTL_HOOKS_COMMAND = 'true';
  const statements = await printed('service');
  await administer(
    ...statements,
    // An account without any right in the database cannot connect.
    statementOf('GRANT', 'SELECT on jwtctl_migration_lock', account),
    ...rightsIn(statements).map((right) => statementOf('REVOKE', right, account)),
  );

  const demanded = await demandedBy(account, [
    running(service, 'keys', 'generate', '--kid', 'k1'),
    running(service, 'users', 'add', 'alice'),
    running(service, 'token', 'issue', '--sub', 'alice'),
    running(service, 'token', 'revoke', '--sub', 'alice', '--all', '--yes'),
    running(service, 'users', 'disable', 'alice'),
    running(service, 'users', 'remove', 'alice', '--yes'),
    running(service, 'keys', 'generate', '--kid', 'k2'),
    running(service, 'keys', 'activate', 'k2', '--now'),
    running(service, 'keys', 'retire', 'k1', '--force'),
    running(service, 'audit', 'verify'),
    running(service, 'events', 'deliver'),
    async () => {
      service.clock.advance(400 * 86_400);
      await administer(`UPDATE ${name}.security_log SET expires_at = 1`);
      return '';
    },
    running(service, 'keys', 'purge', '--yes'),
    running(service, 'cache', 'reconcile'),
  ]);

  expect(demanded.sort()).toEqual(rightsIn(statements).sort());
});

test('verifying needs each right that is printed for it, and names the one that is missing', async () => {
  const account = `${name}_verifier`;
  const verifier = as(account);
  const statements = await printed('verifier');
  const { token } = await operator.json('token', 'issue', '--sub', 'bob', '--create-user');
  await administer(
    ...statements,
    statementOf('GRANT', 'SELECT on jwtctl_migration_lock', account),
    ...rightsIn(statements).map((right) => statementOf('REVOKE', right, account)),
  );

  // The verifier must ask MySQL for the user.
  await stores.redis?.client.zrem(`${stores.redis.prefix}:{bob}`, '!s', '!v');

  const demanded = await demandedBy(account, [
    running(verifier, 'token', 'verify', token),
    async () => {
      const warnings: string[] = [];
      const context = await openContext({
        ...verifier,
        clock: systemClock,
        caution: (text) => warnings.push(text),
      });
      try {
        const live = await openLiveVerifier(context, { warn: (text) => warnings.push(text) });
        const { active } = await live.verify(token);
        await live.close();
        return active ? warnings.join('\n') : `not active ${warnings}`;
      } catch (error) {
        return `${(error as JwtctlError).message} ${warnings}`;
      } finally {
        await context.dispose();
      }
    },
  ]);

  expect(demanded.sort()).toEqual(rightsIn(statements).sort());
});

test.each([
  ['operator', '../../docs/storage.md'],
  ['redis', '../../docs/redis-acl.md'],
])('the statements of the account %s are documented as they are printed', async (account, document) => {
  const { stdout } = await cli().run('init', '--print-grants', account);
  const text = (some: string) => some.replace(/\s+/g, ' ');
  expect(text(readFileSync(new URL(document, import.meta.url), 'utf8'))).toContain(text(stdout));
});
