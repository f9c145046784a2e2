import type { Registration, RegistryEntry } from '../../domain/ports.js';
import type { RedisConnection } from './connect.js';
import { entryMember, parseEntry, statusScore } from './keyspace.js';
import { type Reply, unwrap } from './pipeline.js';
import { NOT_OURS, REGISTER } from './scripts.js';
import type { WholeRegistry } from './walk.js';

/**
 * Registers entries of one subject in their order: some with each call of {@link REGISTER}, and as many calls as it takes.
 *
 * @returns the entries that made room; null where the subject's key holds something else
 * @throws JwtctlError where the registry fails; some may have been registered then, and room may have been made in part
 */
export async function registerInTurn(
  { connection, batcher, keyspace }: WholeRegistry,
  registrations: readonly Registration[],
  tolerance: number,
): Promise<RegistryEntry[] | null> {
  const gone: RegistryEntry[] = [];
  for (let next = 0; next < registrations.length; ) {
    const { sub, now } = registrations[next] as Registration;
    const { entries, labels, slot } = keyspace.keysOf(sub);
    const args: Array<string | number> = [now - tolerance, tolerance];
    // One call has one time.
    for (let index = next; index < next + ENTRIES_PER_CALL && registrations[index]?.now === now; index++) {
      args.push(...argumentsOf(registrations[index] as Registration));
    }
    const { replies } = await batcher.send({ slot, keys: [entries, labels], script: REGISTER, args });
    const [state, done, ...evicted] = answerOf(connection, replies[0]);
    if (state === NOT_OURS) return null;
    next += Number(done);
    for (let index = 0; index < evicted.length; index += 2) {
      const entry = parseEntry(String(evicted[index]), String(evicted[index + 1]));
      if (entry !== null) gone.push(entry);
    }
  }
  return gone;
}

/** Some tenths of a millisecond of a server's time. */
const ENTRIES_PER_CALL = 50;

function argumentsOf({ entry, maxPerSubject, label, user }: Registration): Array<string | number> {
  const status = user === undefined ? ['', ''] : [statusScore(user), user.version];
  return [entryMember(entry), entry.exp, maxPerSubject ?? 0, label ?? '', ...status];
}

function answerOf(connection: RedisConnection, reply: Reply): unknown[] {
  try {
    return unwrap(reply) as unknown[];
  } catch (error) {
    throw connection.translate(error);
  }
}
