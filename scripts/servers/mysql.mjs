// @ts-check
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { requireProgram } from '../programs.mjs';
import { makeCertificates } from './certificates.mjs';
import { HOST, startOnFreePorts } from './free-ports.mjs';
import { openServerGroup } from './server-group.mjs';

const ACCOUNT = 'jwtctl';

/** @type {typeof import('../servers.mjs').startMysql} */
export async function startMysql(group, { args = [] } = {}) {
  const own = group ?? openServerGroup();
  try {
    const engine = findMysql();
    const name = 'mysql';
    const home = own.makeFolder(name);
    const data = join(home, 'data');
    const [tls] = await Promise.all([makeCertificates(own, home), own.run(...engine.install(data))]);
    const password = randomBytes(12).toString('hex');
    const initFile = join(home, 'init.sql');
    writeFileSync(initFile, initialSql(engine, password), { mode: 0o600 });

    return await startOnFreePorts(1, async (port) => {
      const started = await own.launch({
        name,
        program: engine.program,
        args: [
          ...engine.args,
          `--datadir=${data}`,
          `--tmpdir=${home}`,
          `--socket=${join(home, 'socket')}`,
          `--pid-file=${join(home, 'server.pid')}`,
          `--init-file=${initFile}`,
          `--bind-address=${HOST}`,
          `--port=${port}`,
          '--skip-name-resolve',
          '--character-set-server=utf8mb4',
          '--innodb-buffer-pool-size=64M',
          '--innodb-flush-log-at-trx-commit=2',
          '--max-connections=300',
          `--ssl-ca=${tls.ca}`,
          `--ssl-cert=${tls.cert}`,
          `--ssl-key=${tls.key}`,
          ...args,
        ],
        graceMs: 3000,
      });
      const url = `mysql://${ACCOUNT}:${password}@${HOST}:${port}`;
      return { ...started, host: HOST, port, url, tls, stop: group ? started.stop : own.stop };
    });
  } catch (error) {
    if (!group) await own.stop();
    throw error;
  }
}

/** @type {typeof import('../servers.mjs').findMysql} */
export function findMysql() {
  const program = requireProgram('mariadbd', 'mysqld');
  return basename(program) === 'mysqld' ? mysql(program) : mariadb(program);
}

/** @typedef {import('../servers.mjs').MysqlEngine} Engine */

/** @type {(program: string) => Engine} */
const mariadb = (program) => ({
  program,
  install: (data) => [
    requireProgram('mariadb-install-db'),
    [
      '--no-defaults',
      ...runAs(),
      `--datadir=${data}`,
      // A server that starts removes temporary tables from its folder, and would remove those of another one in /tmp.
      `--tmpdir=${dirname(data)}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
    ],
  ],
  args: ['--no-defaults', ...runAs()],
  dropAccounts: "DELETE FROM mysql.global_priv WHERE User IN ('root', '');\nFLUSH PRIVILEGES;",
});

/** @type {(program: string) => Engine} */
const mysql = (program) => ({
  program,
  install: (data) => [program, ['--no-defaults', ...runAs(), '--initialize-insecure', `--datadir=${data}`]],
  // Its second protocol would take a port of its own, and a folder that a package was built with may not be there.
  args: ['--no-defaults', ...runAs(), '--loose-mysqlx=OFF', '--secure-file-priv=NULL'],
  dropAccounts: "DROP USER 'root'@'localhost';",
});

/** As root they start only when told so. */
function runAs() {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/**
 * Run by the server before it accepts connections.
 *
 * @param {Engine} engine
 * @param {string} password
 */
function initialSql({ dropAccounts }, password) {
  return [
    dropAccounts,
    `CREATE USER '${ACCOUNT}'@'%' IDENTIFIED BY '${password}';`,
    'CREATE DATABASE jwtctl;',
    `GRANT ALL ON *.* TO '${ACCOUNT}'@'%' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}
