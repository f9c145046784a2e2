import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { socketPath } from '../../domain/shared/socket-path.js';
import { formatHostPort } from '../addresses/host-port.js';
import type { Settings } from '../settings.js';

/** Returns a warning for each store on another host that gets a password without TLS. */
export function plaintextWarnings({ mysql, redis }: Settings): string[] {
  const warnings: string[] = [];
  if (mysql.url !== null && socketPath(mysql.url) === null && !mysql.tls.enabled) {
    const { hostname, host } = new URL(mysql.url);
    if (!isLoopback(hostname.replace(/^\[|\]$/g, ''))) warnings.push(warning('MySQL', host, 'mysql'));
  }
  const hasPassword =
    redis.password !== null || redis.passwordFile !== null || redis.passwordCommand !== null;
  if (hasPassword && !redis.tls.enabled) {
    const reached = [...(redis.nodes ?? []), ...Object.values(redis.natMap ?? {})];
    const elsewhere = reached.find(({ host }) => !isLoopback(host));
    if (elsewhere !== undefined) warnings.push(warning('Redis', formatHostPort(elsewhere), 'redis'));
  }
  return warnings;
}

function warning(store: string, where: string, group: 'mysql' | 'redis'): string {
  return `${store} at ${where} is reached without TLS, so any server at this address can get the password. Set ${group}.tls.ca, or ${group}.tls.enabled to trust the default CAs of Node.js.`;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  if (isIPv4(host)) return LOOPBACK.check(host, 'ipv4');
  if (isIPv6(host)) return LOOPBACK.check(host, 'ipv6');
  return host.toLowerCase() === 'localhost';
}
