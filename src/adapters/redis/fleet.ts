import {
  LONGEST_HEARTBEAT_SECONDS,
  MOST_HEARTBEAT_CHARACTERS,
  oldestFirst,
  parseHeartbeat,
  REPORTED_AGAIN_SECONDS,
} from '../../domain/fleet/heartbeat.js';
import type { FleetLook, Heartbeat } from '../../domain/ports/index.js';
import { formatDuration } from '../../domain/shared/duration.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { script } from './cluster/script.js';
import { NOT_OURS } from './scripts/index.js';
import type { WholeRegistry } from './session.js';
import { foreignKey, replyCode } from './wire/errors.js';
import { unwrap } from './wire/pipeline.js';

/** How many others one heartbeat looks at, to drop those that are over. */
const LOOKED_AT = 10;

/** An answer of {@link READ}. */
const WRITES_REFUSED = -2;

/** With more heartbeats or bytes than these, the hash is not read: verifiers do not write that much. */
const MOST_HEARTBEATS = 5_000;
const MOST_BYTES = 16 * 2 ** 20;

/**
 * Any client that can write to Redis can write heartbeats. Expired ones are dropped. One that no verifier can have written
 * is not counted, and is dropped too.
 */
const JUDGING = `
-- Returns the heartbeat; or nil, and whether it is valid but expired.
local function judge(id, value, now)
  if #id > 64 or #value > ${MOST_HEARTBEAT_CHARACTERS + 20} then return nil, false end
  local over, heartbeat = string.match(value, '^(%d+) (.*)$')
  over = tonumber(over)
  if over == nil or over > now + ${LONGEST_HEARTBEAT_SECONDS} then return nil, false end
  if over <= now then return nil, true end
  return heartbeat
end
`;

/** The field beside those of the verifiers: since when, until when and by which run of which server all has been kept. */
const KEPT = 'kept';

/**
 * A master that took over may lack what was told last, and so does a server that begins again; either has another `run_id`.
 * And where nobody told anything for a while the server was away: of those that run, some may be over by now. An account that
 * may not use INFO has the last alone to go by.
 */
const KEEPING = `
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end

-- Since when all has been kept; nil where that is not so.
local function kept_since(fleet, now)
  local since, last, run = string.match(redis.call('HGET', fleet, '${KEPT}') or '', '^(%d+) (%d+) (%w*)$')
  if since and run == run_id() and now - tonumber(last) <= ${REPORTED_AGAIN_SECONDS} then return tonumber(since) end
end
`;

/**
 * Sets one verifier's field: when it is over by the server's clock, and the heartbeat. Of the others a few, whichever
 * they are, are dropped where they are over. A field of a hash has no expiry of its own (Redis 7.0), and all that announce
 * share one server, whose clock is thus the one to go by: by that of a host which is ahead everybody would be over.
 *
 * KEYS: the hash. ARGV: id, heartbeat, for how many seconds it counts. Answers: 1.
 */
const REPORT_HEARTBEAT = script(
  // A heartbeat takes no more memory than the one before, and must get through when memory is full (Redis 7.0).
  '#!lua flags=allow-oom\n',
  KEEPING,
  JUDGING,
  `
local fleet, id, seconds = KEYS[1], ARGV[1], tonumber(ARGV[3])
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return ${NOT_OURS} end
local now = tonumber(redis.call('TIME')[1])
redis.call('HSET', fleet, id, string.format('%.0f', now + seconds) .. ' ' .. ARGV[2])
local since = kept_since(fleet, now) or now
redis.call('HSET', fleet, '${KEPT}', string.format('%.0f %.0f %s', since, now, run_id()))
local some = redis.call('HRANDFIELD', fleet, ${LOOKED_AT}, 'WITHVALUES')
for i = 1, #some, 2 do
  if some[i] ~= id and some[i] ~= '${KEPT}' and not judge(some[i], some[i + 1], now) then redis.call('HDEL', fleet, some[i]) end
end
redis.call('EXPIRE', fleet, math.max(seconds, redis.call('TTL', fleet)))
return 1
`,
);

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

/**
 * Reads the heartbeats that have not expired by the server's clock. A host whose own clock is ahead would see all of them as
 * expired and wait for no verifier. If the server refuses all writes, an empty list does not mean that no verifier runs.
 *
 * KEYS: the hash. Returns {@link NOT_OURS} or {@link WRITES_REFUSED}; or the number of seconds for which all heartbeats have been
 * kept, the number of invalid heartbeats, and the ids and heartbeats of the others; or -1 and the number of heartbeats if they
 * are too many to read.
 */
const READ = script(
  KEEPING,
  JUDGING,
  `
-- Redis refuses writes after a failed save (MISCONF) and when it has too few replicas (NOREPLICAS).
local function refuses_writes()
  local persistence, replication = redis.pcall('INFO', 'persistence'), redis.pcall('INFO', 'replication')
  if type(persistence) ~= 'string' or type(replication) ~= 'string' then return false end
  return string.find(persistence, 'rdb_last_bgsave_status:err', 1, true)
    or string.find(persistence, 'aof_last_write_status:err', 1, true)
    or string.find(replication, 'min_slaves_good_slaves:0', 1, true)
end

local fleet = KEYS[1]
local fleet_type = redis.call('TYPE', fleet).ok
if fleet_type ~= 'hash' and fleet_type ~= 'none' then return ${NOT_OURS} end
local now, running = tonumber(redis.call('TIME')[1]), {}
local since = kept_since(fleet, now)
if not since and refuses_writes() then return ${WRITES_REFUSED} end
since = since or now
local count = redis.call('HLEN', fleet)
if count > ${MOST_HEARTBEATS} then return { -1, count, {} } end
local untrusted, bytes, cursor = 0, 0, '0'
repeat
  local page = redis.call('HSCAN', fleet, cursor, 'COUNT', 1000)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    local id, value = page[2][i], page[2][i + 1]
    local heartbeat, is_over = judge(id, value, now)
    if heartbeat then
      bytes = bytes + #value
      if bytes > ${MOST_BYTES} then return { -1, count, {} } end
      running[#running + 1] = id
      running[#running + 1] = heartbeat
    elseif not is_over and id ~= '${KEPT}' then
      untrusted = untrusted + 1
    end
  end
until cursor == '0'
return { math.max(0, now - since), untrusted, running }
`,
);

export async function readFleet(whole: WholeRegistry): Promise<FleetLook> {
  const { key, slot } = whole.keyspace.fleet;
  const { replies } = await whole.batcher.send({ slot, keys: [key], script: READ, args: [] });
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
