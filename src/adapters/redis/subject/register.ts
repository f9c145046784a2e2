import type { Registration, RegistryEntry } from '../../../domain/ports/index.js';
import type { RedisConnection } from '../cluster/redis-connection.js';
import { entryMember, parseEntry, statusScore } from '../keyspace.js';
import { NOT_OURS, REGISTER, TOO_LATE } from '../scripts/index.js';
import type { WholeRegistry } from '../session.js';
import { DeadlineError } from '../wire/errors.js';
import { type Reply, unwrap } from '../wire/pipeline.js';
import { SubjectReader } from './reader.js';
import { removeMembers } from './remove-exact.js';

/**
 * Registers entries of one subject in their order: some with each call of {@link REGISTER}, and as many calls as it takes.
 *
 * @returns the entries that made room; null where the subject's key holds something else
 * @throws JwtctlError where the registry fails; some may have been registered then, and room may have been made in part
 */
export async function registerInTurn(
  whole: WholeRegistry,
  registrations: readonly Registration[],
  tolerance: number,
): Promise<RegistryEntry[] | null> {
  const { connection, batcher, keyspace } = whole;
  const gone: RegistryEntry[] = [];
  /** The maximum for which room is made once all that share it have been added. */
  let later: number | null = null;
  for (let next = 0; next < registrations.length; ) {
    const { sub, now } = registrations[next] as Registration;
    const { entries, labels, slot } = keyspace.keysOf(sub);
    const args: Array<string | number> = [];
    for (let index = next; index < next + ENTRIES_PER_CALL; index++) {
      const registration = registrations[index];
      // One call has one time.
      if (registration?.now !== now || (later !== null && registration.maxPerSubject !== later)) break;
      args.push(...argumentsOf(registration, later !== null));
    }
    const send = async (nowMs: number) => {
      const timed = [now - tolerance, tolerance, nowMs + connection.timeoutMs, ...args];
      const { replies } = await batcher.send({
        slot,
        keys: [entries, labels],
        script: REGISTER,
        args: timed,
      });
      return answerOf(connection, replies[0]);
    };
    let answer = await send(Date.now());
    // The client has not given up, so it is the server's clock that is ahead.
    if (answer[0] === TOO_LATE) answer = await send(Number(answer[1]));
    if (answer[0] === TOO_LATE) throw connection.translate(new DeadlineError(connection.timeoutMs));
    const [state, done, isLeft, ...evicted] = answer;
    if (state === NOT_OURS) return null;
    next += Number(done);
    for (let index = 0; index < evicted.length; index += 2) {
      const entry = parseEntry(String(evicted[index]), String(evicted[index + 1]));
      if (entry !== null) gone.push(entry);
    }
    if (isLeft === 1) later = registrations[next - 1]?.maxPerSubject ?? null;
    const following = registrations[next];
    if (later === null || (following?.now === now && following.maxPerSubject === later)) continue;
    gone.push(...(await makeRoom(whole, registrations[next - 1] as Registration, later, tolerance)));
    later = null;
  }
  return gone;
}

/** Some tenths of a millisecond of a server's time. */
const ENTRIES_PER_CALL = 50;

/**
 * Makes room for an entry that has been added, by reading all that lives beside it. Somebody else may do so at the same time:
 * whoever reads last sees all that were added, and both remove the same.
 */
async function makeRoom(
  whole: WholeRegistry,
  { sub, now, entry }: Registration,
  maximum: number,
  tolerance: number,
): Promise<RegistryEntry[]> {
  const keys = whole.keyspace.keysOf(sub);
  const horizon = now - tolerance;
  const reader = new SubjectReader(whole, { horizon, withDetails: false, isNamed: true });
  const added = entryMember(entry);
  const others = (await reader.list({ sub, ...keys }))
    .filter((other) => entryMember(other) !== added)
    .sort(byAge);
  const going = others.slice(0, Math.max(0, others.length + 1 - maximum));
  if (going.length > 0) await removeMembers(whole, keys, going.map(entryMember), [horizon, tolerance]);
  return going.map(({ jti, keyId, iat, exp }) => ({ jti, keyId, iat, exp }));
}

/** Oldest first. */
export function byAge(a: RegistryEntry, b: RegistryEntry): number {
  return a.iat - b.iat || Buffer.compare(Buffer.from(a.jti), Buffer.from(b.jti)) || a.keyId - b.keyId;
}

function argumentsOf(
  { entry, maxPerSubject, label, user }: Registration,
  isRoomMadeLater: boolean,
): Array<string | number> {
  const status = user === undefined ? ['', ''] : [statusScore(user), user.version];
  const maximum = isRoomMadeLater ? 0 : (maxPerSubject ?? 0);
  return [entryMember(entry), entry.exp, maximum, label ?? '', ...status];
}

function answerOf(connection: RedisConnection, reply: Reply): unknown[] {
  try {
    return unwrap(reply) as unknown[];
  } catch (error) {
    throw connection.translate(error);
  }
}
