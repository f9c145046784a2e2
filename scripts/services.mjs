// @ts-check
/**
 * Starts a throwaway MariaDB or MySQL and a Redis Cluster of three masters and three replicas, and removes them when it
 * ends.
 *
 *   npm run services          prints the variables that point jwtctl and its tests at them; Ctrl-C ends it
 *   --until-stdin-closes      prints one line of JSON instead and ends with its standard input, so that the servers
 *                             cannot outlive the program that asked for them
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openServerGroup, startMysql, startRedisCluster } from './servers.mjs';

const { values: flags } = parseArgs({
  options: { 'until-stdin-closes': { type: 'boolean', default: false } },
});

const group = openServerGroup();
try {
  // A server that fails to start must not wait for the end that nobody has asked for yet, nor the other way round.
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
  // The reader of stdout going away is no reason to stop, and none to fail.
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
    console.log(`export JWTCTL_MYSQL_URL=${mysql.url}/jwtctl`);
    console.log(`export JWTCTL_REDIS_NODES=${redisNodes.join(',')}`);
    console.log(`export JWTCTL_MASTER_KEY_FILE=${makeMasterKey()}`);
    console.log(`export JWTCTL_TEST_MYSQL_URL=${mysql.url}`);
    console.log(`export JWTCTL_TEST_REDIS_NODES=${redisNodes.join(',')}`);
    console.error(
      'Paste these lines into another terminal. Ctrl-C here stops the servers and removes their data.',
    );
  }
  await new Promise(() => {});
}

/** A keyring for trying the CLI by hand, so that nothing of it is left in the user's data folder. */
function makeMasterKey() {
  const file = join(group.folder, 'master.key');
  writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  return file;
}
