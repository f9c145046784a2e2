import { oldestFirst, parseAnnouncement } from '../../domain/announcement.js';
import type { VerifierAnnouncement } from '../../domain/ports.js';
import { foreignKey, replyCode } from './errors.js';
import { script } from './lua.js';
import { unwrap } from './pipeline.js';
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
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, commands: [['hdel', key, id]] });
  if (replyCode(replies[0]) === 'WRONGTYPE') throw foreignKey(key);
  outcomeOf(whole, replies[0]);
}

/**
 * Of those that are not over, again by the server's clock: to a host whose own is ahead they would all be gone, and it would
 * wait for none of them.
 *
 * KEYS: the hash. Answers: {@link NOT_OURS}, or the announcements.
 */
const READ = script(`
local fleet = KEYS[1]
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return ${NOT_OURS} end
local now, running = tonumber(redis.call('TIME')[1]), {}
for _, value in ipairs(redis.call('HVALS', fleet)) do
  local over, announcement = string.match(value, '^(%d+) (.*)$')
  if over and tonumber(over) > now then running[#running + 1] = announcement end
end
return running
`);

/** Those that run, oldest first. */
export async function readFleet(whole: WholeRegistry): Promise<VerifierAnnouncement[]> {
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, keys: [key], script: READ, args: [] });
  const running = outcomeOf(whole, replies[0]);
  if (running === NOT_OURS) throw foreignKey(key);
  return oldestFirst((running as string[]).flatMap((text) => parseAnnouncement(text) ?? []));
}

function outcomeOf({ connection }: WholeRegistry, reply: unknown): unknown {
  try {
    return unwrap(reply);
  } catch (error) {
    throw connection.translate(error);
  }
}
