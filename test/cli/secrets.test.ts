import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cli, everythingPrinted, temporaryFolder } from '../support/cli.js';
import { closedPorts } from '../support/proxies/silent-server.js';
import { BACKENDS, openStores } from '../support/stores.js';

const SECRETS = {
  url: 'Secr3t-in-the-url',
  file: 'Secr3t-in-a-file',
  redis: 'Secr3t-of-redis',
  key: 'U2VjcjN0LW1hc3Rlci1rZXktdGhhdC1pcy0zMmJ5dGU=',
};

/** Everything that these commands print in every format, with an invalid configuration. */
test('prints no password, master key, or stack trace, whatever fails', async () => {
  const home = temporaryFolder();
  const passwordFile = join(home, 'password');
  writeFileSync(passwordFile, `${SECRETS.file}\n`, { mode: 0o600 });
  const [mysqlPort, redisPort] = await closedPorts(2);
  const url = `mysql://user:${SECRETS.url}@127.0.0.1:${mysqlPort}/db`;
  const redis = { JWTCTL_REDIS_NODES: `127.0.0.1:${redisPort}`, JWTCTL_REDIS_PASSWORD: SECRETS.redis };
  const environments = [
    { ...redis, JWTCTL_MYSQL_URL: url, JWTCTL_MASTER_KEY: SECRETS.key },
    {
      ...redis,
      JWTCTL_MYSQL_URL: `mysql://u@127.0.0.1:${mysqlPort}/db`,
      JWTCTL_MYSQL_PASSWORD_FILE: passwordFile,
    },
    { JWTCTL_MYSQL_URL: url },
    { JWTCTL_MYSQL_URL: url.replace('mysql:', 'mysqls:') },
    { JWTCTL_MYSQL_URL: `user:${SECRETS.url}@127.0.0.1/db` },
    { JWTCTL_MYSQL_URL: url, JWTCTL_MYSQL_PASSWORD_FILE: passwordFile, ...redis },
    { JWTCTL_MASTER_KEY: `${SECRETS.key}x` },
    { JWTCTL_REDIS_PASSWORD: SECRETS.redis, JWTCTL_REDIS_PASSWORD_FILE: passwordFile },
  ];
  everythingPrinted.length = 0;
  for (const env of environments) {
    const shell = cli({ env, home });
    for (const words of [
      ...[
        ['keys', 'list'],
        ['keys', 'generate'],
        ['users', 'list'],
        ['token', 'issue', '--sub', 'a'],
      ],
      ...[
        ['token', 'verify', 'a.b.c'],
        ['cache', 'inspect'],
        ['db', 'status'],
        ['config', 'show'],
        ['config', 'validate'],
      ],
      ['keys', 'list', '--mysql-url', url],
    ]) {
      for (const form of [[], ['--json'], ['-v'], ['-v', '--json']]) await shell.run(...words, ...form);
    }
  }

  const printed = everythingPrinted.join('\n');
  expect(printed.length).toBeGreaterThan(10_000);
  for (const secret of Object.values(SECRETS)) expect(printed).not.toContain(secret);
  expect(printed).not.toMatch(/^\s+at /m);
  expect(printed).not.toContain('ERR_BUG');
});

describe.each(BACKENDS)('normal use on %s', (backend) => {
  test('prints no private key, and only the requested token', async () => {
    const stores = await openStores(backend);
    try {
      await stores.json('keys', 'generate');
      const { token, jti } = await stores.json('token', 'issue', '--sub', 'alice', '--create-user');
      const file = join(stores.home, 'token.txt');
      writeFileSync(file, token);
      everythingPrinted.length = 0;
      for (const words of [
        ...[
          ['keys', 'list'],
          ['keys', 'show', (await stores.json('keys', 'list'))[0].kid],
          ['keys', 'export'],
        ],
        ...[
          ['keys', 'rotate', '--now'],
          ['users', 'show', 'alice'],
          ['token', 'list', '--sub', 'alice'],
        ],
        ...[
          ['token', 'decode', `@${file}`],
          ['token', 'verify', `@${file}`],
          ['token', 'verify', `@${file}`, '--aud', 'x'],
        ],
        ...[
          ['cache', 'inspect'],
          ['cache', 'nodes'],
          ['cache', 'reconcile'],
          ['cache', 'flush', '--sub', 'zoe', '--yes'],
          ['cache', 'snapshot', 'entries'],
          ['cache', 'restore', 'entries'],
          ['db', 'status'],
        ],
        ...[
          ['config', 'show'],
          ['token', 'revoke', `@${file}`],
          ['token', 'verify', `@${file}`],
        ],
      ]) {
        for (const form of [[], ['--json'], ['-q'], ['-o', 'ndjson'], ['-v']])
          await stores.run(...words, ...form);
      }
      const printed = everythingPrinted.join('\n');
      expect(printed).toContain(jti);
      expect(printed).not.toContain(token);
      expect(printed).not.toContain('PRIVATE KEY');
      expect(printed).not.toMatch(/"d":/);
      expect(printed).not.toMatch(/^\s+at /m);
      const password = new URL(stores.env.JWTCTL_MYSQL_URL ?? 'mysql://u:none-at-all@h/d').password;
      expect(printed).not.toContain(password);
    } finally {
      await stores.close();
    }
  });
});
