import type { Registration, RegistryEntry } from '../../../domain/ports/index.js';

import { entryMember, parseEntry, statusScore } from '../keyspace.js';
import { REGISTER, TOO_LATE, WRONG_TYPE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { DeadlineError, wrongType } from '../wire/errors.js';

/** Returns the evicted entries. After an error, some entries may have been registered. */
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
      if (registration?.now !== now) break;
      args.push(...argumentsOf(registration));
    }
    const send = async (nowMs: number) => {
      const timed = [now - tolerance, tolerance, nowMs + connection.timeoutMs, ...args];
      return (await session.run(REGISTER, slot, [entries, labels], timed)) as unknown[];
    };
    let answer = await send(Date.now());
    // This client has not given up, so the server's clock is ahead. Use its time.
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

/** Takes the server some tenths of a millisecond. */
const ENTRIES_PER_CALL = 50;

export function byAge(a: RegistryEntry, b: RegistryEntry): number {
  return a.iat - b.iat || Buffer.compare(Buffer.from(a.jti), Buffer.from(b.jti)) || a.keyId - b.keyId;
}

function argumentsOf({ entry, maxPerSubject = 0, label = '', user }: Registration): Array<string | number> {
  const status = user === undefined ? ['', ''] : [statusScore(user), user.version];
  return [entryMember(entry), entry.exp, maxPerSubject, label, ...status];
}
