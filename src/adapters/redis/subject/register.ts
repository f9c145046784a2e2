import type { Registration, RegistryEntry } from '../../../domain/ports/index.js';

import { entryMember, parseEntry, statusScore } from '../keyspace.js';
import { REGISTER, TOO_LATE, WRONG_TYPE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { DeadlineError, wrongType } from '../wire/errors.js';

/**
 * Registers entries of one subject in their order: some with each call of {@link REGISTER}, and as many calls as it takes.
 *
 * @returns the entries that made room; null where the subject's key holds something else
 * @throws JwtctlError where the registry fails; some may have been registered then, and room may have been made in part
 */
export async function registerInTurn(
  session: RegistrySession,
  registrations: readonly Registration[],
  tolerance: number,
): Promise<RegistryEntry[]> {
  const { connection, keyspace } = session;
  const evicted: RegistryEntry[] = [];
  for (let next = 0; next < registrations.length; ) {
    const { sub, now } = registrations[next] as Registration;
    const { entries, labels, slot } = keyspace.keysOf(sub);
    const args: Array<string | number> = [];
    for (let index = next; index < next + ENTRIES_PER_CALL; index++) {
      const registration = registrations[index];
      // One call has one time.
      if (registration?.now !== now) break;
      args.push(...argumentsOf(registration));
    }
    const send = async (nowMs: number) => {
      const timed = [now - tolerance, tolerance, nowMs + connection.timeoutMs, ...args];
      return (await session.run(REGISTER, slot, [entries, labels], timed)) as unknown[];
    };
    let answer = await send(Date.now());
    // The client has not given up, so it is the server's clock that is ahead.
    if (answer[0] === TOO_LATE) answer = await send(Number(answer[1]));
    if (answer[0] === TOO_LATE) throw connection.translate(new DeadlineError(connection.timeoutMs));
    const [state, done, ...members] = answer;
    if (state === WRONG_TYPE) throw wrongType(entries);
    next += Number(done);
    for (let index = 0; index < members.length; index += 2) {
      const entry = parseEntry(String(members[index]), String(members[index + 1]));
      if (entry !== null) evicted.push(entry);
    }
  }
  return evicted;
}

/** Some tenths of a millisecond of a server's time. */
const ENTRIES_PER_CALL = 50;

/** Oldest first. */
export function byAge(a: RegistryEntry, b: RegistryEntry): number {
  return a.iat - b.iat || Buffer.compare(Buffer.from(a.jti), Buffer.from(b.jti)) || a.keyId - b.keyId;
}

function argumentsOf({ entry, maxPerSubject = 0, label = '', user }: Registration): Array<string | number> {
  const status = user === undefined ? ['', ''] : [statusScore(user), user.version];
  return [entryMember(entry), entry.exp, maxPerSubject, label, ...status];
}
