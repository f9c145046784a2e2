import type { FamilyStore } from '../../../domain/ports/index.js';
import { listFamilies } from '../../../domain/registry/list-families.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { Invocation } from '../../invocation.js';

/** What a command is about to end. */
export interface EndingCount {
  tokens: number;
  subjects: number;
  sessions?: number | undefined;
  /** False if a part of the registry could not be read. */
  complete: boolean;
}

/**
 * Asks before a command ends tokens, and says how many. Counts only for a question: with `--yes` or `-n` it does
 * nothing, and without a terminal it fails, whatever the count would be, so that a script behaves the same each time.
 * @param count counts until the signal ends it, and returns null if the registry could not be read
 * @param always whether it asks even if there are no tokens
 * @throws JwtctlError `ERR_CONFIRMATION_NEEDED` (usage), `ERR_NOT_CONFIRMED` (interrupted)
 */
export async function confirmEnding(
  { globals, signal, confirm }: Invocation,
  question: string,
  count: (signal: AbortSignal) => Promise<EndingCount | null>,
  { always }: { always: boolean },
): Promise<void> {
  if (globals.dryRun || globals.yes) return;
  if (!globals.canAsk) return confirm(question);
  const limited = AbortSignal.any([signal, AbortSignal.timeout(COUNT_LIMIT_MS)]);
  const found = await count(limited).catch(notCounted);
  signal.throwIfAborted();
  if (!always && isNothing(found)) return;
  await confirm(`${question} ${scopeOf(found)}`);
}

/** What leaked has to be refused soon, so the question does not wait for a walk through a large cluster. */
const COUNT_LIMIT_MS = 10_000;

/** A registry that is damaged or forged must not keep an operator from ending tokens. */
function notCounted(error: unknown): null {
  if (error instanceof JwtctlError && (error.kind === 'state' || error.kind === 'unavailable')) return null;
  throw error;
}

function isNothing(found: EndingCount | null): boolean {
  return found?.complete === true && found.tokens + (found.sessions ?? 0) === 0;
}

function scopeOf(found: EndingCount | null): string {
  if (found === null || (!found.complete && found.tokens === 0)) return 'The tokens could not be counted.';
  const { tokens, subjects, sessions = 0, complete } = found;
  const ended = [pluralize(tokens, 'token'), ...(sessions > 0 ? [pluralize(sessions, 'session')] : [])];
  const scope = `${ended.join(' and ')} of ${pluralize(subjects, 'subject')}`;
  return complete ? `This ends ${scope}.` : `This ends at least ${scope}. Not all tokens could be counted.`;
}

/** Counts what a revocation of one subject ends. */
export async function countOfSubject(
  registry: Pick<FamilyStore, 'familyPages'>,
  { sub, issuedBefore = Number.POSITIVE_INFINITY }: { sub: string; issuedBefore?: number | undefined },
  tokens: number,
  now: number,
): Promise<EndingCount> {
  const families = await listFamilies(registry, sub, now);
  const sessions = families.filter(({ startedAt }) => startedAt <= issuedBefore).length;
  return oneSubject(tokens, sessions);
}

export function oneSubject(tokens: number, sessions: number): EndingCount {
  return { tokens, sessions, subjects: tokens + sessions > 0 ? 1 : 0, complete: true };
}
