import { counterOf, familyOf } from '../../../domain/model/family.js';
import type { FamilyOutcome, FamilyStep, TokenFamily } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { familyRecord, parseFamily } from '../keyspace.js';
import { ADVANCE_FAMILY, START_GRACE, STEP } from '../scripts/index.js';
import type { RegistrySession } from '../session.js';
import { replyCode, UnexpectedReplyError, wrongType } from '../wire/redis-errors.js';
import { integerIn, outcomeIn, pageIn } from '../wire/reply-shapes.js';
import {
  addArguments,
  type RegistrationOptions,
  registerInTurn,
  runInTime,
  timesOf,
} from './register-entries.js';

export async function advanceFamily(
  session: RegistrySession,
  step: FamilyStep,
  options: RegistrationOptions,
): Promise<FamilyOutcome> {
  const { connection, keyspace, batcher } = session;
  const { sub, now, entry } = step;
  const { startedAt, exp, graceSeconds, limit } = step.family;
  const { entries, meta, refresh, slot } = keyspace.keysOf(sub);
  const family = familyOf(entry.jti);
  if (family === null) throw new JwtctlError('ERR_BUG', 'The entry has no family.');
  const counter = counterOf(entry.jti);
  const record = familyRecord({ counter, keyId: entry.keyId, iat: entry.iat, startedAt, exp });
  const own: Array<string | number> = [];
  addArguments(own, step);
  own.push(family, counter, 1000 * graceSeconds, exp, record, limit.most, limit.above);
  const [, outcome, value] = await runInTime(connection, (deadline) =>
    batcher.read(
      {
        ...{ slot, script: ADVANCE_FAMILY, keys: [entries, meta, refresh] },
        args: [...timesOf(now, deadline, options), ...own],
      },
      outcomeIn,
    ),
  );
  switch (outcome) {
    case STEP.REPLAYED:
      return { state: 'replayed', iat: value ?? 0 };
    case STEP.REUSED:
      return { state: 'reused' };
    case STEP.UNKNOWN:
      return { state: 'unknown' };
    case STEP.LIMITED:
      return { state: 'limited' };
    case STEP.ADVANCED:
      // Registering the entry again evicts the rest.
      if (value !== 1) await registerInTurn(session, [step], options);
      return { state: 'advanced' };
    default:
      throw connection.translate(new UnexpectedReplyError());
  }
}

export async function startGrace(
  { keyspace, batcher }: RegistrySession,
  { sub, jti }: { sub: string; jti: string },
): Promise<void> {
  const { refresh, slot } = keyspace.keysOf(sub);
  const args = [familyOf(jti) ?? '', counterOf(jti).toString(36)];
  await batcher.read({ slot, script: START_GRACE, keys: [refresh], args }, integerIn);
}

/** HSCAN may repeat a field. */
export async function* familyPages(
  { connection, keyspace, batcher }: RegistrySession,
  sub: string,
  horizon: number,
): AsyncGenerator<TokenFamily[]> {
  const { refresh, slot } = keyspace.keysOf(sub);
  let cursor = '0';
  do {
    const asked = cursor;
    const commands = [['hscan', refresh, asked, 'COUNT', FAMILIES_AT_ONCE] as const];
    const [reply] = (await batcher.send({ slot, commands })).replies;
    if (replyCode(reply) === 'WRONGTYPE') throw wrongType(refresh);
    const [next, fields] = connection.unwrap(reply, (given) => pageIn(given, asked));
    cursor = next;
    const families: TokenFamily[] = [];
    for (let index = 0; index < fields.length; index += 2) {
      const family = parseFamily(fields[index] ?? '', fields[index + 1] ?? '');
      if (family !== null && family.exp > horizon) families.push(family);
    }
    yield families;
  } while (cursor !== '0');
}

const FAMILIES_AT_ONCE = 500;
