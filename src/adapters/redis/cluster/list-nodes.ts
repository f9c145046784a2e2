import type { RegistryNode } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { numberIn, parseInfo } from '../wire/info.js';
import { isKnownHost } from '../wire/node-address.js';
import { type Reply, sendPipeline, unwrap } from '../wire/pipeline.js';
import { replyCode, UnexpectedReplyError } from '../wire/redis-errors.js';
import { masterWarnings, replicaOf, SERVER_INFO, TRACKING_LIMIT } from '../wire/server-info.js';
import type { RedisConnection, RedisNode } from './redis-connection.js';

export async function listNodes(connection: RedisConnection): Promise<RegistryNode[]> {
  await connection.ready();
  if (connection.mode !== 'cluster') return listServer(connection);
  const [shards] = await Promise.all([readShards(connection), connection.refresh()]);
  const connected = new Map(connection.nodes().map((node) => [node.name, node]));
  const listed = await Promise.all(shards.map((shard) => listShard(connection, connected, shard)));
  return listed.flat();
}

interface Shard {
  slots: number;
  members: Array<{ name: string; role: 'master' | 'replica' }>;
}

async function listShard(
  connection: RedisConnection,
  connected: Map<string, RedisNode>,
  { slots, members }: Shard,
): Promise<RegistryNode[]> {
  const asked = await Promise.all(
    members.map(async (member) => {
      const node = connected.get(member.name);
      return { ...member, facts: node === undefined ? null : await ask(connection, node) };
    }),
  );
  const master = asked.find(({ role }) => role === 'master');
  return asked
    .sort((a, b) => Number(b.role === 'master') - Number(a.role === 'master'))
    .map(({ name, role, facts }) => ({
      node: name,
      role,
      master: role === 'replica' ? (master?.name ?? null) : null,
      slots: role === 'master' ? slots : null,
      ...(facts?.state ?? UNREACHABLE),
      lagBytes: role === 'replica' ? lag(master?.facts?.offset, facts?.offset) : null,
    }));
}

/** Lists the server and its replicas, which are known only from its INFO. */
async function listServer(connection: RedisConnection): Promise<RegistryNode[]> {
  const [node] = connection.nodes();
  const facts = node === undefined ? null : await ask(connection, node);
  const info = facts?.info ?? new Map<string, string>();
  const name = node?.name ?? connection.address.nodes[0] ?? '';
  const master = replicaOf(info);
  const server: RegistryNode = {
    node: name,
    role: master === null ? 'master' : 'replica',
    master,
    slots: null,
    ...(facts?.state ?? UNREACHABLE),
    lagBytes: null,
  };
  const replicas = [...info].flatMap(([field, value]): RegistryNode[] => {
    if (!/^slave\d+$/.test(field)) return [];
    const parts = new Map(value.split(',').map((part) => part.split('=', 2) as [string, string]));
    const advertised = { host: parts.get('ip') ?? '', port: Number(parts.get('port')) };
    return [
      {
        node: connection.nameOf(advertised),
        role: 'replica',
        master: name,
        slots: null,
        ...UNREACHABLE,
        lagBytes: lag(facts?.offset, numberIn(parts, 'offset')),
        reachable: parts.get('state') === 'online',
      },
    ];
  });
  return [server, ...replicas];
}

/** CLUSTER SHARDS (Redis 7.0) lists failed nodes too, unlike CLUSTER SLOTS. */
async function readShards(connection: RedisConnection): Promise<Shard[]> {
  const { timeoutMs } = connection;
  const asked = connection.nodes().map(async ({ client }) => {
    const [reply] = await sendPipeline(client, [['cluster', 'shards']], timeoutMs);
    return { shards: shardsIn(unwrap(reply)), askedHost: client.options.host ?? '' };
  });
  // Ask all nodes, because a single one may hang.
  const { shards, askedHost } = await Promise.any(asked).catch((error: AggregateError) => {
    throw connection.translate(error.errors.find((one) => replyCode(one) !== null) ?? error.errors[0]);
  });
  return shards.map(({ slots, nodes }) => ({
    slots: countSlots(slots),
    members: nodes.map((node) => toMember(connection, toObject(node), askedHost)),
  }));
}

function shardsIn(reply: Reply): Array<{ slots: number[]; nodes: unknown[][] }> {
  const shards = Array.isArray(reply) && reply.every(Array.isArray) ? reply.map(toObject) : [];
  const isShard = ({ slots, nodes }: Record<string, unknown>) =>
    Array.isArray(slots) && Array.isArray(nodes) && nodes.every(Array.isArray);
  if (shards.length === 0 || !shards.every(isShard)) throw new UnexpectedReplyError();
  return shards as ReturnType<typeof shardsIn>;
}

function toMember(
  connection: RedisConnection,
  node: Record<string, unknown>,
  askedHost: string,
): Shard['members'][number] {
  const { endpoint, role } = node;
  const host = isKnownHost(endpoint) ? endpoint : askedHost;
  const port = Number(connection.isTls ? (node['tls-port'] ?? node.port) : (node.port ?? node['tls-port']));
  return { name: connection.nameOf({ host, port }), role: role === 'master' ? 'master' : 'replica' };
}

/** Counts the slots in a flat list of ranges: `0, 5460, 6000, 6000`. */
function countSlots(ranges: readonly number[]): number {
  let count = 0;
  for (let index = 0; index + 1 < ranges.length; index += 2) {
    count += Number(ranges[index + 1]) - Number(ranges[index]) + 1;
  }
  return count;
}

function toObject(flat: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) object[String(flat[index])] = flat[index + 1];
  return object;
}

type NodeState = Omit<RegistryNode, 'node' | 'role' | 'master' | 'slots' | 'lagBytes'>;

const UNREACHABLE: NodeState = {
  keys: null,
  usedMemoryBytes: null,
  maxmemoryBytes: null,
  maxmemoryPolicy: null,
  warnings: [],
  time: null,
  exchange: null,
  reachable: false,
};

interface Facts {
  state: NodeState;
  /** Position in the replication stream, in bytes. */
  offset: number | null;
  info: Map<string, string>;
}

async function ask(connection: RedisConnection, node: RedisNode): Promise<Facts | null> {
  try {
    const askedMs = performance.now();
    const replies = await sendPipeline(
      node.client,
      [SERVER_INFO, TRACKING_LIMIT, ['dbsize']],
      connection.timeoutMs,
    );
    const answeredMs = performance.now();
    const forbidden = [replies[0], replies[2]].find((reply) => replyCode(reply) === 'NOPERM');
    if (forbidden !== undefined) throw connection.translate(forbidden);
    if (replies.some((reply) => reply instanceof Error && replyCode(reply) === null)) return null;
    const info = parseInfo(replies[0]);
    const limit = Array.isArray(replies[1]) ? Number(replies[1][1]) : null;
    const keys = replies[2];
    const state = {
      keys: typeof keys === 'number' ? keys : null,
      usedMemoryBytes: numberIn(info, 'used_memory'),
      maxmemoryBytes: numberIn(info, 'maxmemory') || null,
      maxmemoryPolicy: info.get('maxmemory_policy') ?? null,
      warnings: masterWarnings(info, limit),
      time: serverTime(info),
      exchange: { askedMs, answeredMs },
      reachable: true,
    };
    return {
      state,
      offset: numberIn(info, 'slave_repl_offset') ?? numberIn(info, 'master_repl_offset'),
      info,
    };
  } catch (error) {
    if (error instanceof JwtctlError && error.code === 'ERR_REDIS_FORBIDDEN') throw error;
    return null;
  }
}

function serverTime(info: Map<string, string>): number | null {
  const microseconds = numberIn(info, 'server_time_usec');
  return microseconds === null ? null : Math.floor(microseconds / 1e6);
}

function lag(master: number | null | undefined, replica: number | null | undefined): number | null {
  return master == null || replica == null ? null : Math.max(0, master - replica);
}
