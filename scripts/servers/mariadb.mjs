// @ts-check
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../programs.mjs';
import { makeCertificates } from './certificates.mjs';
import { HOST, startOnFreePorts } from './free-ports.mjs';
import { openServerGroup } from './server-group.mjs';

const ACCOUNT = 'jwtctl';

/** @type {typeof import('../servers.mjs').startMariadb} */
export async function startMariadb(group) {
  const own = group ?? openServerGroup();
  try {
    const name = 'mariadb';
    const home = own.makeFolder(name);
    const data = join(home, 'data');
    const [tls] = await Promise.all([makeCertificates(own, home), installTables(own, data)]);
    const password = randomBytes(12).toString('hex');
    const initFile = join(home, 'init.sql');
    writeFileSync(initFile, initialSql(password), { mode: 0o600 });

    return await startOnFreePorts(1, async (port) => {
      const started = await own.launch({
        name,
        program: requireProgram('mariadbd'),
        args: [
          '--no-defaults',
          ...runAs(),
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

/**
 * @param {import('../servers.mjs').ServerGroup} group
 * @param {string} data
 */
async function installTables(group, data) {
  await group.run(requireProgram('mariadb-install-db'), [
    '--no-defaults',
    ...runAs(),
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
  ]);
}

/** As root MariaDB starts only when told so. */
function runAs() {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/**
 * Run by the server before it accepts connections. The accounts of a fresh installation have no password, so they go.
 *
 * @param {string} password
 */
function initialSql(password) {
  return [
    "DELETE FROM mysql.global_priv WHERE User IN ('root', '');",
    'FLUSH PRIVILEGES;',
    `CREATE USER '${ACCOUNT}'@'%' IDENTIFIED BY '${password}';`,
    'CREATE DATABASE jwtctl;',
    `GRANT ALL ON *.* TO '${ACCOUNT}'@'%' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}
