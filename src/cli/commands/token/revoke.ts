import type { Context } from '../../../app/context.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { parseJti } from '../../../domain/model/jti.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import type { TokenMeta } from '../../../domain/model/token-meta.js';
import type { Administration } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { excerpt } from '../../../domain/shared/text.js';
import { ifReachable } from '../../../domain/shared/unavailable.js';
import { identifyToken } from '../../../domain/tokens/identify-token.js';
import {
  countGlobal,
  type RevocationOutcome,
  revokeGlobally,
  revokeSubject,
  revokeToken,
} from '../../../domain/tokens/revoke.js';
import { revokeSelected } from '../../../domain/tokens/revoke-selected.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { isoTime } from '../../output/time.js';
import { revocation } from '../../output/views/tokens.js';
import { confirmEnding, countOfSubject, type EndingCount, oneSubject } from '../shared/confirm-ending.js';
import { contradiction, pastMomentFlag, repeatedFlag } from '../shared/flags.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';
import { parseNameValues } from '../shared/name-value.js';
import { reasonOption } from '../shared/reason-option.js';
import { readToken } from '../shared/token-argument.js';

const DESCRIPTION = `Revoke tokens permanently.

The refresh token of a session ends with its access tokens. Select tokens in one of these ways:

- TOKEN: one token
- --sub SUB --jti JTI: one token of a subject
- --sub SUB --all: all tokens of a subject
- --sub SUB --issued-before TIME: older tokens of a subject
- --sub SUB --where NAME=VALUE: the tokens of a subject that \`token list --where\` shows
- --kid KID: all tokens signed with a key
- --kid KID --issued-before TIME: older tokens signed with a key
- --issued-before TIME: older tokens of all subjects`;

export const defineRevoke: DefineCommand = (group, run) => {
  group
    .command('revoke')
    .argument('[token]', 'token; - reads standard input, @file reads a file')
    .description(DESCRIPTION)
    .option('--sub <sub>', 'subject; requires --jti, --all, --issued-before, or --where')
    .option('--jti <jti>', 'one token of the subject', parseJti)
    .option('--all', 'all tokens of the subject')
    .option(
      '--where <name=value>',
      'tokens and sessions whose meta has this pair; can be repeated',
      repeatedFlag,
    )
    .option('--kid <kid>', 'all tokens signed with this key', parseKid)
    .option(
      '--issued-before <time>',
      'tokens issued at this time or earlier (NumericDate, ISO 8601, now, or how long ago: 2h)',
      pastMomentFlag('--issued-before'),
    )
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .examples(
      'jwtctl token revoke --sub alice --all --wait-fleet',
      'jwtctl token revoke --sub alice --where device=iPhone',
      'echo "$TOKEN" | jwtctl token revoke -',
    )
    .action(run(revoke));
};

interface RevokeFlags extends FleetFlags {
  sub?: string;
  jti?: string;
  all?: true;
  where?: string[];
  kid?: string;
  issuedBefore?: number;
  reason?: string;
}

const revoke: Action<RevokeFlags, [string | undefined]> = async (invocation, flags, token) => {
  const selection = revocationSelection(flags, token);
  const outcome = await revokeSelection(invocation, selection, flags.reason ?? null);
  return afterFleet(invocation, flags, outcome.eventId, {
    view: revocation(outcome, invocation.globals.dryRun),
    exitCode: outcome.complete ? EXIT.done : EXIT.partial,
    notes: outcome.complete ? revocationNotes(outcome, selection, invocation.globals.dryRun) : [],
    warnings: outcome.complete ? [] : [incompleteRevocation(invocation.globals.dryRun)],
  });
};

function incompleteRevocation(dryRun: boolean): string {
  return dryRun
    ? 'Parts of the registry could not be read, so there may be more tokens.'
    : 'The tokens are revoked, but some of their entries could not be removed. Run the same command again.';
}

function revocationNotes(
  { alreadyGone, revoked, sessions, withoutMeta = 0 }: RevocationOutcome,
  selection: Selection,
  dryRun: boolean,
): string[] {
  if (alreadyGone > 0) {
    // Without the event, a flushed entry could be restored, or the token be registered later.
    const record = dryRun ? 'would be recorded' : 'is recorded';
    return [
      `The token is not in the registry: it expired, was revoked or flushed, or was never registered. The revocation ${record}, so the token cannot be restored or registered.`,
    ];
  }
  if (selection.by === 'where') {
    const none = 'The subject has no live tokens with this meta.';
    const others = `${pluralize(withoutMeta, 'other live token')} of the subject ${withoutMeta === 1 ? 'has' : 'have'} no meta, so ${withoutMeta === 1 ? 'it' : 'they'} ${dryRun ? 'would not be' : withoutMeta === 1 ? 'is not' : 'are not'} revoked. To revoke such tokens, use --jti or --all.`;
    return [...(revoked + sessions > 0 ? [] : [none]), ...(withoutMeta > 0 ? [others] : [])];
  }
  if (revoked + sessions > 0) return [];
  if (selection.by !== 'sub') return [];
  const which = selection.issuedBefore === undefined ? '' : ' issued at that time or earlier';
  return [`The subject has no live tokens${which}.`];
}

type Selection =
  | { by: 'token'; token: string }
  | { by: 'jti'; sub: string; jti: string }
  | { by: 'sub'; sub: string; issuedBefore?: number }
  | { by: 'where'; sub: string; where: TokenMeta }
  | { by: 'global'; kid?: string; issuedBefore?: number | undefined };

type GroupSelection = Extract<Selection, { by: 'sub' | 'where' | 'global' }>;

const FORMS =
  'TOKEN, --sub S --jti J, --sub S --all, --sub S --issued-before T, --sub S --where NAME=VALUE, --kid K, --issued-before T, or --kid K --issued-before T';

function revocationSelection(flags: RevokeFlags, token: string | undefined): Selection {
  const { jti, all, where, kid, issuedBefore } = flags;
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  const given = [token, jti, all, where, kid].filter((value) => value !== undefined).length;
  if (token !== undefined && given === 1 && sub === undefined && issuedBefore === undefined)
    return { by: 'token', token };
  if (sub !== undefined && jti !== undefined && given === 1 && issuedBefore === undefined)
    return { by: 'jti', sub, jti };
  if (sub !== undefined && all !== undefined && given === 1 && issuedBefore === undefined)
    return { by: 'sub', sub };
  if (sub !== undefined && where !== undefined && given === 1 && issuedBefore === undefined)
    return { by: 'where', sub, where: parseNameValues('--where', where) };
  if (sub !== undefined && issuedBefore !== undefined && given === 0) return { by: 'sub', sub, issuedBefore };
  if (sub === undefined && kid !== undefined && given === 1) return { by: 'global', kid, issuedBefore };
  if (sub === undefined && issuedBefore !== undefined && given === 0) return { by: 'global', issuedBefore };
  if (all !== undefined && sub === undefined && given === 1) throw contradiction('--all needs --sub.');
  if (sub !== undefined && given === 0)
    throw contradiction(`--sub ${excerpt(sub)} needs --all, --jti, --issued-before, or --where.`);
  throw new JwtctlError('ERR_FLAG_COMBINATION', 'These arguments do not select tokens to revoke.', {
    hint: `Use one of ${FORMS}.`,
  });
}

async function revokeSelection(
  invocation: Invocation,
  selection: Selection,
  reason: string | null,
): Promise<RevocationOutcome> {
  const { globals, signal } = invocation;
  const text = selection.by === 'token' ? await readToken(invocation, selection.token) : '';
  const context = await invocation.context();
  const ports = await context.administration();
  const policy = lifetimePolicy(context.settings);
  const options = { reason, dryRun: globals.dryRun, signal };
  if ('issuedBefore' in selection) assertPast(selection.issuedBefore, ports);

  switch (selection.by) {
    case 'token':
      return revokeToken(ports, policy, await identify(context, text), options);
    case 'jti':
      return revokeToken(ports, policy, selection, options);
    case 'sub': {
      const revokeTokens = (dryRun: boolean) =>
        revokeSubject(ports, policy, selection, { ...options, dryRun });
      const count = async () =>
        countOfSubject(ports.registry, selection, (await revokeTokens(true)).revoked, ports.clock.now());
      await confirmRevocation(invocation, selection, () => ifReachable(count, null));
      return revokeTokens(globals.dryRun);
    }
    case 'where': {
      const revokeTokens = (dryRun: boolean) =>
        revokeSelected(ports, policy, selection, { ...options, dryRun });
      await confirmRevocation(invocation, selection, async () => {
        const { revoked, sessions } = await revokeTokens(true);
        return oneSubject(revoked, sessions);
      });
      return revokeTokens(globals.dryRun);
    }
    case 'global': {
      const key = selection.kid === undefined ? undefined : await requireKey(ports.database, selection.kid);
      const scope = { key, issuedBefore: selection.issuedBefore };
      const { withProgress } = invocation;
      const counting = (limited: AbortSignal) =>
        withProgress('Counting', (onProgress) =>
          countGlobal(ports, policy, scope, { signal: limited, onProgress }),
        );
      await confirmRevocation(invocation, selection, async (limited) => {
        const { matched: tokens, subjects, complete } = await counting(limited);
        return { tokens, subjects, complete };
      });
      // Counts again, because tokens may have been issued while the question was open.
      const { matched, issuedBefore, ahead, complete, missed } = await counting(signal);
      if (globals.dryRun) {
        const nothing = { sessions: 0, alreadyGone: 0, replicasConfirmed: 0, eventId: null };
        return { revoked: matched, ...nothing, complete, missed };
      }
      signal.throwIfAborted();
      return withProgress('Removing', (onProgress) =>
        revokeGlobally(ports, policy, { ...scope, issuedBefore, ahead }, { ...options, onProgress }),
      );
    }
  }
}

function confirmRevocation(
  invocation: Invocation,
  selection: GroupSelection,
  count: (signal: AbortSignal) => Promise<EndingCount | null>,
): Promise<void> {
  const question = `Revoke ${describeSelection(selection)} permanently?`;
  // Any other selection ends nothing if it matches no token. A selection by time alone always asks, because the time may be wrong.
  const always = selection.by === 'global' && selection.kid === undefined;
  return confirmEnding(invocation, question, count, { always });
}

function describeSelection(selection: GroupSelection): string {
  const { issuedBefore } = { issuedBefore: undefined, ...selection };
  return [
    'all tokens',
    ...('sub' in selection ? [`of ${JSON.stringify(selection.sub)}`] : []),
    ...(selection.by === 'where' ? [`with ${pairsOf(selection.where)}`] : []),
    ...('kid' in selection && selection.kid !== undefined ? [`of key ${selection.kid}`] : []),
    ...(issuedBefore === undefined ? [] : [`issued at ${isoTime(issuedBefore)} or earlier`]),
  ].join(' ');
}

function pairsOf(where: TokenMeta): string {
  return Object.entries(where)
    .map(([name, value]) => `${name}=${value}`)
    .join(' and ');
}

/** Requires a valid signature of a known key, in any state. */
async function identify(context: Context, token: string): Promise<{ sub: string; jti: string }> {
  const found = await identifyToken(await context.database(), token);
  if (!('active' in found)) return found;
  throw new JwtctlError(found.error.code, `This token cannot be revoked: ${found.error.message}`, {
    kind: 'refused',
    hint: 'Verifiers refuse tokens that none of your keys has signed. To revoke a token by ID, use --sub and --jti.',
  });
}

function assertPast(issuedBefore: number | undefined, { clock }: Pick<Administration, 'clock'>): void {
  if (issuedBefore === undefined || issuedBefore <= clock.now()) return;
  throw new JwtctlError(
    'ERR_FLAG_INVALID',
    '--issued-before is in the future: only existing tokens can be revoked.',
    { hint: 'Specify the current time or an earlier one.' },
  );
}
