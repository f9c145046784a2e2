import { JwtctlError } from '../../../domain/shared/errors.js';
import { stringAt } from '../wire/bulk-strings.js';
import { reachedAt } from '../wire/client-options.js';
import { formatNode, type HostPort } from '../wire/node-address.js';
import { ReadConnection } from '../wire/read-connection.js';
import { fromNode, replyCode, translateError } from '../wire/redis-errors.js';
import type { RedisOptions, SentinelOptions } from '../wire/redis-options.js';

/** Asks all Sentinels at once, because one may hang, and returns the first answer. */
export async function findMaster(options: RedisOptions, sentinel: SentinelOptions): Promise<HostPort> {
  const { master, credentials } = sentinel;
  // Sentinels have accounts of their own.
  const dialing = { ...options, username: undefined, credentials, onDialed: undefined };
  const connections = options.nodes.map((node) => ({ node, connection: new ReadConnection(dialing, node) }));
  const asked = connections.map(async ({ node, connection }) => {
    try {
      const [reply] = await connection.send(
        [['sentinel', 'get-master-addr-by-name', master]],
        options.timeoutMs,
      );
      if (reply === null || reply === undefined) throw unknownMaster(node, master);
      if (replyCode(reply) === 'ERR') throw notSentinel(node);
      if (reply instanceof Error) throw reply;
      if (typeof reply === 'number') throw notSentinel(node);
      return reachedAt(options, { host: stringAt(reply, 0), port: Number(stringAt(reply, 1)) });
    } catch (error) {
      throw fromNode(error, formatNode(node));
    }
  });
  try {
    return await Promise.any(asked);
  } catch (error) {
    const { errors } = error as AggregateError;
    throw translateError(
      errors.find((one) => one instanceof JwtctlError || replyCode(one) !== null) ?? errors[0],
      { nodes: options.nodes.map(formatNode), mode: 'sentinel' },
    );
  } finally {
    // A Sentinel that hangs would keep the process running until the timeout.
    for (const { connection } of connections) connection.close();
  }
}

function unknownMaster(node: HostPort, master: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_MASTER_UNKNOWN',
    `The Sentinel at ${formatNode(node)} does not watch a master named '${master}'.`,
    {
      hint: `Set redis.sentinelMaster (JWTCTL_REDIS_SENTINEL_MASTER) to a name that this command lists: redis-cli -p ${node.port} sentinel masters`,
      details: { nodes: [formatNode(node)], master },
    },
  );
}

function notSentinel(node: HostPort): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_MODE_MISMATCH',
    `Redis at ${formatNode(node)} is not a Sentinel, but redis.mode is sentinel.`,
    {
      hint: 'Set redis.nodes (JWTCTL_REDIS_NODES) to the Sentinels, usually on port 26379.',
      details: { nodes: [formatNode(node)] },
    },
  );
}
