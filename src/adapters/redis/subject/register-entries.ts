import { isLegacyId } from '../../../domain/model/legacy-id.js';
import { formatMeta } from '../../../domain/model/token-meta.js';
import type { Registration, RegistrationOutcome } from '../../../domain/ports/index.js';
import { tokenLimit } from '../../../domain/registry/token-limit.js';
import { entryMember, formatLegacyEntry, statusScore } from '../keyspace.js';
import { ENTRY_OUTCOME, REGISTER, TOO_LATE, WRONG_TYPE } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { DeadlineError, UnexpectedReplyError, wrongType } from '../wire/redis-errors.js';
import { outcomeIn } from '../wire/reply-shapes.js';

export interface RegistrationOptions {
  tolerance: number;
  idleTimeoutSeconds: number | null;
}

/**
 * Registers entries of one subject in order, and returns the outcome of each. After an error, some of them may have
 * been registered.
 */
export async function registerInTurn(
  session: RegistrySession,
  registrations: readonly Registration[],
  options: RegistrationOptions,
): Promise<RegistrationOutcome[]> {
  const { connection, keyspace, batcher } = session;
  const outcomes: RegistrationOutcome[] = [];
  let idleCalls = 0;
  for (let next = 0; next < registrations.length; ) {
    const { sub, now } = registrations[next] as Registration;
    const { entries, meta, slot } = keyspace.keysOf(sub);
    const own: Array<string | number> = [];
    let count = 0;
    for (let index = next; index < next + ENTRIES_PER_CALL; index++) {
      const registration = registrations[index];
      if (registration?.now !== now) break;
      addArguments(own, registration);
      count += 1;
    }
    const [, done = 0, ...read] = await runInTime(connection, (deadline) =>
      batcher.read(
        { slot, script: REGISTER, keys: [entries, meta], args: [...timesOf(now, deadline, options), ...own] },
        outcomeIn,
      ),
    );
    idleCalls = done > 0 ? 0 : idleCalls + 1;
    const isPossible = done >= 0 && done <= read.length && read.length <= count && read.every(isEntryOutcome);
    if (!isPossible || idleCalls > MOST_IDLE_CALLS) throw connection.translate(new UnexpectedReplyError());
    for (const [offset, code] of read.entries()) {
      const index = next + offset;
      if (code === ENTRY_OUTCOME.REFUSED) outcomes[index] = tokenLimit(sub, registrations[index]);
      // An entry that is read in two calls is known in the second one.
      else if (code === ENTRY_OUTCOME.ADDED) outcomes[index] = 'added';
      else outcomes[index] ??= 'known';
    }
    next += done;
  }
  return outcomes;
}

const ENTRY_OUTCOMES: ReadonlySet<number> = new Set(Object.values(ENTRY_OUTCOME));

function isEntryOutcome(code: number): boolean {
  return ENTRY_OUTCOMES.has(code);
}

/**
 * Runs a script that does nothing after its deadline, by the server's clock in milliseconds.
 * @throws JwtctlError `ERR_REDIS_WRONG_TYPE` (state)
 */
export async function runInTime(
  connection: RegistrySession['connection'],
  run: (deadline: number) => Promise<ReturnType<typeof outcomeIn>>,
): Promise<number[]> {
  const { timeoutMs } = connection;
  let answer = await run(Date.now() + timeoutMs);
  // This client has not given up, so the server's clock is ahead. Use its time.
  if (answer[0] === TOO_LATE) answer = await run(Number(answer[1] ?? 0) + timeoutMs);
  if (answer[0] === TOO_LATE) throw connection.translate(new DeadlineError(timeoutMs));
  if (answer[0] === WRONG_TYPE) throw wrongType(String(answer[1]));
  return answer.map(Number);
}

/** A call that evicts, but registers nothing, removes up to a thousand others. */
const MOST_IDLE_CALLS = 1000;

/** Takes the server some tenths of a millisecond. */
const ENTRIES_PER_CALL = 50;

/** The first arguments of `register.lua`, which all entries of a call share. */
export function timesOf(
  now: number,
  deadline: number,
  { tolerance, idleTimeoutSeconds }: RegistrationOptions,
): Array<string | number> {
  const timed = [now - tolerance, tolerance, deadline];
  return idleTimeoutSeconds === null ? [...timed, '', ''] : [...timed, -now, idleTimeoutSeconds];
}

/** Adds the arguments of an entry in the order of `register.lua`. They are few, because a bulk command sends many entries. */
export function addArguments(
  args: Array<string | number>,
  { entry, maxPerSubject = 0, onLimit, meta, user }: Registration,
): void {
  const stored = isLegacyId(entry.jti) ? formatLegacyEntry(entry) : meta == null ? '' : formatMeta(meta);
  const limit = onLimit === 'refuse' ? -maxPerSubject : maxPerSubject;
  args.push(entryMember(entry), entry.exp, limit, stored);
  if (user === undefined) args.push('', '');
  else args.push(statusScore(user), user.version);
}
