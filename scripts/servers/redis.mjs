// @ts-check
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../programs.mjs';
import { makeCertificates } from './certificates.mjs';
import { HOST, startOnFreePorts } from './free-ports.mjs';
import { openServerGroup } from './server-group.mjs';

/** @type {typeof import('../servers.mjs').startRedis} */
export async function startRedis(options = {}, group) {
  const own = group ?? openServerGroup();
  try {
    const name = 'redis';
    const tls =
      options.tls === undefined || options.tls === 'off'
        ? null
        : await makeCertificates(own, own.makeFolder(name));
    const started = await startOnFreePorts(1, (port) =>
      launchRedis(own, name, port, [
        ...(tls === null ? [`port ${port}`] : tlsLines(port, tls, options.tls === 'clients-authenticate')),
        ...(options.user ? userLines(options.user) : []),
        ...(options.config ?? []),
      ]),
    );
    return { ...started, tls, stop: group ? started.stop : own.stop };
  } catch (error) {
    if (!group) await own.stop();
    throw error;
  }
}

/**
 * @param {import('../servers.mjs').ServerGroup} group
 * @param {string} name
 * @param {number} port
 * @param {string[]} lines of redis.conf, the port among them
 * @returns {Promise<import('../servers.mjs').RedisServer>}
 */
export async function launchRedis(group, name, port, lines) {
  const home = group.makeFolder(name);
  const file = join(home, 'redis.conf');
  const common = [`bind ${HOST}`, `dir ${home}`, 'save ""', 'appendonly no'];
  // A file, because arguments can be read by everyone on the machine and the lines may hold a password.
  writeFileSync(file, `${[...common, ...lines].join('\n')}\n`, { mode: 0o600 });
  const started = await group.launch({ name, program: requireProgram('redis-server'), args: [file] });
  return { ...started, host: HOST, port, node: `${HOST}:${port}`, tls: null };
}

/**
 * @param {number} port
 * @param {import('../servers.mjs').TlsFiles} tls
 * @param {boolean} clientsAuthenticate
 */
export function tlsLines(port, tls, clientsAuthenticate) {
  return [
    'port 0',
    `tls-port ${port}`,
    `tls-ca-cert-file ${tls.ca}`,
    `tls-cert-file ${tls.cert}`,
    `tls-key-file ${tls.key}`,
    `tls-auth-clients ${clientsAuthenticate ? 'yes' : 'no'}`,
  ];
}

/** @param {{ name?: string, password: string }} user */
function userLines({ name, password }) {
  if (name === undefined) return [`requirepass ${password}`];
  return ['user default off', `user ${name} on >${password} ~* &* +@all`];
}
