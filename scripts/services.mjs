// @ts-check
/**
 * Starts a temporary MariaDB or MySQL and a Redis Cluster of three masters and three replicas, and removes them when it
 * ends.
 *
 *   npm run services                        writes env.sh with the settings of jwtctl, and prints the line that loads it
 *   npm run services -- --test-variables    adds the variables that point the tests at these servers
 *   --until-stdin-closes                    prints one line of JSON and ends with its standard input, so that the servers
 *                                           cannot outlive the program that started them
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openServerGroup, startMysql, startRedisCluster } from './servers.mjs';

const { values: flags } = parseArgs({
  options: {
    'test-variables': { type: 'boolean', default: false },
    'until-stdin-closes': { type: 'boolean', default: false },
  },
});

const group = openServerGroup();
try {
  // Whichever comes first: a server that fails to start, or the request to stop.
  await Promise.race([end(), run()]);
} finally {
  await group.stop();
}
process.exit();

/** Resolves when these servers are no longer wanted. Ctrl-C reaches npm, too, which passes it on: it may come twice. */
async function end() {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'].map(
    (signal) => new Promise((resolve) => process.on(signal, resolve)),
  );
  // Go on if the reader of stdout goes away.
  process.stdout.on('error', () => {});
  if (flags['until-stdin-closes']) {
    process.stdin.resume();
    signals.push(once(process.stdin, 'end'));
  }
  await Promise.race(signals);
}

async function run() {
  const [mysql, cluster] = await Promise.all([startMysql(group), startRedisCluster({}, group)]);
  const redisNodes = cluster.nodes.map(({ node }) => node);

  if (flags['until-stdin-closes']) {
    const { folder } = group;
    console.log(JSON.stringify({ mysqlUrl: mysql.url, redisNodes, mysqlCa: mysql.tls.ca, folder }));
  } else {
    console.log(`\n  . ${writeEnvironment({ mysqlUrl: mysql.url, redisNodes: redisNodes.join(',') })}\n`);
    console.error('Run that line in another terminal. Ctrl-C here stops the servers and deletes their data.');
  }
  await new Promise(() => {});
}

/**
 * Writes a file for the shell with the settings of jwtctl, and a keyring, so that nothing is left in the user's data folder.
 *
 * @param {{ mysqlUrl: string, redisNodes: string }} servers
 * @returns the path of the file
 */
function writeEnvironment({ mysqlUrl, redisNodes }) {
  const masterKey = join(group.folder, 'master.key');
  writeFileSync(masterKey, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const variables = {
    JWTCTL_MYSQL_URL: `${mysqlUrl}/jwtctl`,
    JWTCTL_REDIS_NODES: redisNodes,
    JWTCTL_MASTER_KEY_FILE: masterKey,
    ...(flags['test-variables']
      ? { JWTCTL_TEST_MYSQL_URL: mysqlUrl, JWTCTL_TEST_REDIS_NODES: redisNodes }
      : {}),
  };
  const file = join(group.folder, 'env.sh');
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}
