import {
  formatHeartbeat,
  oldestFirst,
  parseHeartbeat,
  REPORTED_AGAIN_SECONDS,
} from '../../domain/fleet/heartbeat.js';
import type { FleetLook, Heartbeat } from '../../domain/ports/index.js';
import { formatDuration } from '../../domain/shared/duration.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { READ_HEARTBEATS, REPORT_HEARTBEAT, WRITES_REFUSED, WRONG_TYPE } from './scripts/index.js';
import type { RegistrySession } from './session.js';
import type { Reply } from './wire/pipeline.js';
import { replyCode, UnexpectedReplyError, wrongType } from './wire/redis-errors.js';
import { integerIn, integersIn, textsOrNullsIn } from './wire/reply-shapes.js';

export async function report(
  session: RegistrySession,
  heartbeat: Heartbeat,
  tolerance: number,
): Promise<void> {
  const { key, slot } = session.keyspace.fleet;
  const { id, at, until } = heartbeat;
  const args = [id, formatHeartbeat(heartbeat), until - at + tolerance];
  const request = { slot, script: REPORT_HEARTBEAT, keys: [key], args };
  if ((await session.batcher.read(request, integerIn)) === WRONG_TYPE) throw wrongType(key);
}

export async function deregister(session: RegistrySession, id: string): Promise<void> {
  const { key, slot } = session.keyspace.fleet;
  const { replies } = await session.batcher.send({ slot, commands: [['hdel', key, id]] });
  if (replyCode(replies[0]) === 'WRONGTYPE') throw wrongType(key);
  session.connection.unwrap(replies[0], integerIn);
}

export async function readFleet(session: RegistrySession): Promise<FleetLook> {
  const { key, slot } = session.keyspace.fleet;
  const outcome = await session.batcher.read(
    { slot, script: READ_HEARTBEATS, keys: [key], args: [] },
    fleetIn,
  );
  if (outcome === WRONG_TYPE) throw wrongType(key);
  if (outcome === WRITES_REFUSED) throw writesRefused(session.connection.ownerName(slot) ?? '');
  if (typeof outcome === 'number') throw session.connection.translate(new UnexpectedReplyError());
  const [keptSeconds, count, running] = outcome;
  if (keptSeconds === -1) throw tooMany(key, count);
  const verifiers: Heartbeat[] = [];
  for (let index = 0; index < running.length; index += 2) {
    const verifier = parseHeartbeat(running[index + 1] ?? '');
    if (verifier !== null && verifier.id === running[index]) verifiers.push(verifier);
  }
  const untrusted = count + running.length / 2 - verifiers.length;
  return { verifiers: oldestFirst(verifiers), keptSeconds, untrusted };
}

function fleetIn(reply: Reply): number | [keptSeconds: number, count: number, running: string[]] {
  if (!Array.isArray(reply)) return integerIn(reply);
  const [keptSeconds, count] = integersIn(reply.slice(0, 2));
  const running = textsOrNullsIn(reply[2]).map(String);
  return [keptSeconds ?? 0, count ?? 0, running];
}

function tooMany(key: string, count: number): JwtctlError {
  const again = formatDuration(REPORTED_AGAIN_SECONDS);
  const tooMuch = `too much data (${count} heartbeats)`;
  const message = `The key ${key} in Redis holds ${tooMuch} to list the running verifiers.`;
  return new JwtctlError('ERR_TOO_MANY_HEARTBEATS', message, {
    hint: `Find the client that writes the excess data to this key, and stop it. Then delete the key (redis-cli -c DEL ${key}). Verifiers report again within ${again}.`,
  });
}

function writesRefused(node: string): JwtctlError {
  const message = `Redis at ${node} refuses writes, so verifiers cannot write their heartbeats.`;
  return new JwtctlError('ERR_REDIS_NOT_READY', message, {
    hint: 'Find the cause with `redis-cli info persistence` and `redis-cli info replication`.',
    details: { nodes: [node] },
  });
}
