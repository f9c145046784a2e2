import { parseAnnouncement } from '../../domain/fleet.js';
import type { VerifierAnnouncement } from '../../domain/ports.js';
import { foreignKey, replyCode } from './errors.js';
import { script } from './lua.js';
import { type Command, unwrap } from './pipeline.js';
import { NOT_OURS } from './scripts.js';
import type { WholeRegistry } from './walk.js';

/** How many others one announcement looks at, to drop those that are over. */
const LOOKED_AT = 10;

/**
 * Sets one verifier's field: when it is over by the server's clock, and the announcement. Of the others a few, whichever
 * they are, are dropped where they are over. A field of a hash has no expiry of its own (Redis 7.0), and all that announce
 * share one server, whose clock is thus the one to go by: by that of a host which is ahead everybody would be over.
 *
 * KEYS: the hash. ARGV: id, announcement, for how many seconds it counts. Answers: 1.
 */
const ANNOUNCE = script(`
local fleet, id, seconds = KEYS[1], ARGV[1], tonumber(ARGV[3])
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return ${NOT_OURS} end
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', fleet, id, string.format('%.0f', now + seconds) .. ' ' .. ARGV[2])
local some = redis.call('HRANDFIELD', fleet, ${LOOKED_AT}, 'WITHVALUES')
for i = 1, #some, 2 do
  local over = tonumber(string.match(some[i + 1], '^(%d+) '))
  if some[i] ~= id and (over == nil or over <= now) then redis.call('HDEL', fleet, some[i]) end
end
redis.call('EXPIRE', fleet, math.max(seconds, redis.call('TTL', fleet)))
return 1
`);

export async function announce(
  whole: WholeRegistry,
  announcement: VerifierAnnouncement,
  tolerance: number,
): Promise<void> {
  const { key, slot } = whole.keyspace.fleet;
  const { id, at, until } = announcement;
  const args = [id, JSON.stringify(announcement), until - at + tolerance];
  const { replies } = await whole.batcher.send({ slot, keys: [key], script: ANNOUNCE, args });
  if (outcomeOf(whole, replies[0]) === NOT_OURS) throw foreignKey(key);
}

export async function withdraw(whole: WholeRegistry, id: string): Promise<void> {
  await run(whole, ['hdel', whole.keyspace.fleet.key, id]);
}

/** Of those that are over, too. */
export async function readFleet(whole: WholeRegistry): Promise<VerifierAnnouncement[]> {
  const values = (await run(whole, ['hvals', whole.keyspace.fleet.key])) as string[];
  return values.flatMap((value) => parseAnnouncement(value.slice(value.indexOf(' ') + 1)) ?? []);
}

async function run(whole: WholeRegistry, command: Command): Promise<unknown> {
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, commands: [command] });
  if (replyCode(replies[0]) === 'WRONGTYPE') throw foreignKey(key);
  return outcomeOf(whole, replies[0]);
}

function outcomeOf({ connection }: WholeRegistry, reply: unknown): unknown {
  try {
    return unwrap(reply);
  } catch (error) {
    throw connection.translate(error);
  }
}
