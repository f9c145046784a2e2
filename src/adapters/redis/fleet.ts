import { oldestFirst, parseHeartbeat, REPORTED_AGAIN_SECONDS } from '../../domain/fleet/heartbeat.js';
import type { FleetLook, Heartbeat } from '../../domain/ports/index.js';
import { formatDuration } from '../../domain/shared/duration.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { NOT_OURS, READ_HEARTBEATS, REPORT_HEARTBEAT, WRITES_REFUSED } from './scripts/index.js';
import type { WholeRegistry } from './session.js';
import { foreignKey, replyCode } from './wire/errors.js';
import { unwrap } from './wire/pipeline.js';

export async function report(whole: WholeRegistry, heartbeat: Heartbeat, tolerance: number): Promise<void> {
  const { key, slot } = whole.keyspace.fleet;
  const { id, at, until } = heartbeat;
  const args = [id, JSON.stringify(heartbeat), until - at + tolerance];
  const { replies } = await whole.batcher.send({ slot, keys: [key], script: REPORT_HEARTBEAT, args });
  if (outcomeOf(whole, replies[0]) === NOT_OURS) throw foreignKey(key);
}

export async function deregister(whole: WholeRegistry, id: string): Promise<void> {
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, commands: [['hdel', key, id]] });
  if (replyCode(replies[0]) === 'WRONGTYPE') throw foreignKey(key);
  outcomeOf(whole, replies[0]);
}

export async function readFleet(whole: WholeRegistry): Promise<FleetLook> {
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, keys: [key], script: READ_HEARTBEATS, args: [] });
  const outcome = outcomeOf(whole, replies[0]);
  if (outcome === NOT_OURS) throw foreignKey(key);
  if (outcome === WRITES_REFUSED) throw silencedFleet(whole.connection.ownerName(slot) ?? '');
  const [keptSeconds, count, running] = outcome as [number, number, string[]];
  if (keptSeconds === -1) throw tooMany(key, count);
  const verifiers: Heartbeat[] = [];
  for (let index = 0; index < running.length; index += 2) {
    const verifier = parseHeartbeat(running[index + 1] ?? '');
    if (verifier !== null && verifier.id === running[index]) verifiers.push(verifier);
  }
  const untrusted = count + running.length / 2 - verifiers.length;
  return { verifiers: oldestFirst(verifiers), keptSeconds, untrusted };
}

function tooMany(key: string, count: number): JwtctlError {
  const again = formatDuration(REPORTED_AGAIN_SECONDS);
  return new JwtctlError(
    'ERR_TOO_MANY_HEARTBEATS',
    `The key ${key} in Redis holds too much data (${count} heartbeats) to list the running verifiers.`,
    {
      hint: `Find the client that writes to it, then delete the key (redis-cli -c DEL ${key}). Verifiers report again within ${again}.`,
    },
  );
}

function silencedFleet(node: string): JwtctlError {
  return new JwtctlError(
    'ERR_REDIS_NOT_READY',
    `Redis at ${node} refuses writes, so verifiers cannot report to it.`,
    {
      hint: 'Find the cause with `redis-cli info persistence` and `redis-cli info replication`.',
      details: { nodes: [node] },
    },
  );
}

function outcomeOf({ connection }: WholeRegistry, reply: unknown): unknown {
  try {
    return unwrap(reply);
  } catch (error) {
    throw connection.translate(error);
  }
}
