import type { Context } from '../../../app/context.js';
import { requireKey } from '../../../domain/keys/find-key.js';
import { isJti, parseJti } from '../../../domain/model/jti.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import type { Administration } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import {
  countGlobal,
  type RevocationOutcome,
  revokeGlobally,
  revokeSubject,
  revokeToken,
} from '../../../domain/tokens/revoke.js';
import { checkJws } from '../../../domain/tokens/verify.js';
import { storeVerification } from '../../../verifier/store-verification.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { pluralize } from '../../output/pluralize.js';
import { revocation } from '../../output/views/tokens.js';
import { momentFlag } from '../shared/flags.js';
import { afterFleet, type FleetFlags, waitFleetOption } from '../shared/fleet-wait.js';
import { lifetimePolicy } from '../shared/lifetime-policy.js';
import { reasonOption } from '../shared/reason-option.js';

export const defineRevoke: DefineCommand = (group, run) => {
  group
    .command('revoke')
    .argument('[token]', 'token; - reads standard input, @file reads a file')
    .description(
      'Revoke tokens permanently.\n\nSelect one token, or tokens by --sub with --jti, --all, or --issued-before; by --kid; by --issued-before; or by --kid with --issued-before.',
    )
    .option('--sub <sub>', 'subject; requires --jti, --all, or --issued-before')
    .option('--jti <jti>', 'one token of the subject', parseJti)
    .option('--all', 'all tokens of the subject')
    .option('--kid <kid>', 'all tokens signed with this key', parseKid)
    .option(
      '--issued-before <time>',
      'tokens issued at this time or earlier (NumericDate or ISO 8601)',
      momentFlag('--issued-before'),
    )
    .addOption(reasonOption())
    .addOption(waitFleetOption())
    .examples('jwtctl token revoke --sub alice --all --wait-fleet', 'echo "$TOKEN" | jwtctl token revoke -')
    .action(run(revoke));
};

interface RevokeFlags extends FleetFlags {
  sub?: string;
  jti?: string;
  all?: true;
  kid?: string;
  issuedBefore?: number;
  reason?: string;
}

const revoke: Action<RevokeFlags, [string | undefined]> = async (invocation, flags, token) => {
  const selection = revocationSelection(flags, token);
  const outcome = await revokeSelected(invocation, selection, flags.reason ?? null);
  return afterFleet(invocation, flags, outcome.eventId, {
    view: revocation(outcome, invocation.globals.dryRun),
    exitCode: outcome.complete ? EXIT.done : EXIT.partial,
    notes: outcome.complete ? revocationNotes(outcome, selection, invocation.globals.dryRun) : [],
    warnings: outcome.complete ? [] : [incompleteRevocation(invocation.globals.dryRun)],
  });
};

function incompleteRevocation(dryRun: boolean): string {
  return dryRun
    ? 'Not all of the registry could be seen: there may be more.'
    : 'The security log holds for every verifier; not every entry could be removed. Run the same command again.';
}

function revocationNotes(
  { alreadyGone, revoked }: RevocationOutcome,
  selection: Selection,
  dryRun: boolean,
): string[] {
  if (alreadyGone > 0) {
    // An entry that was flushed can come back, and what was never registered still be: until there is an event.
    const record = dryRun
      ? 'The security log would tell of it all the same'
      : 'The security log tells of it now';
    return [
      `It is not in the registry: expired, revoked or flushed before, or never registered. ${record}, so nothing brings it back.`,
    ];
  }
  if (revoked > 0 || selection.by !== 'sub') return [];
  const which = selection.issuedBefore === undefined ? '' : ' that were issued then or earlier';
  return [`There are no live tokens of this subject${which}.`];
}

type Selection =
  | { by: 'token'; token: string }
  | { by: 'jti'; sub: string; jti: string }
  | { by: 'sub'; sub: string; issuedBefore?: number }
  | { by: 'wide'; kid?: string; issuedBefore?: number };

const FORMS =
  'TOKEN, --sub S --jti J, --sub S --all, --sub S --issued-before T, --kid K, --issued-before T or both of these';

/** Contradictions end here, before anything is opened. */
function revocationSelection(flags: RevokeFlags, token: string | undefined): Selection {
  const { jti, all, kid, issuedBefore } = flags;
  const sub = flags.sub === undefined ? undefined : parseSubject(flags.sub);
  const given = [token, jti, all, kid].filter((value) => value !== undefined).length;
  const before = issuedBefore === undefined ? {} : { issuedBefore };
  if (token !== undefined && given === 1 && sub === undefined && issuedBefore === undefined)
    return { by: 'token', token };
  if (sub !== undefined && jti !== undefined && given === 1 && issuedBefore === undefined)
    return { by: 'jti', sub, jti };
  if (sub !== undefined && all !== undefined && given === 1 && issuedBefore === undefined)
    return { by: 'sub', sub };
  if (sub !== undefined && issuedBefore !== undefined && given === 0) return { by: 'sub', sub, issuedBefore };
  if (sub === undefined && kid !== undefined && given === 1) return { by: 'wide', kid, ...before };
  if (sub === undefined && issuedBefore !== undefined && given === 0) return { by: 'wide', issuedBefore };
  throw new JwtctlError('ERR_FLAG_COMBINATION', 'These flags do not say which tokens are meant.', {
    hint: `Use one of ${FORMS}.`,
  });
}

async function revokeSelected(
  invocation: Invocation,
  selection: Selection,
  reason: string | null,
): Promise<RevocationOutcome> {
  const { globals, signal } = invocation;
  const text = selection.by === 'token' ? await invocation.readText(selection.token) : '';
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
    case 'sub':
      return revokeSubject(ports, policy, selection, options);
    case 'wide': {
      const key = selection.kid === undefined ? undefined : await requireKey(ports.database, selection.kid);
      const wide = {
        ...(key === undefined ? {} : { key }),
        ...(selection.issuedBefore === undefined ? {} : { issuedBefore: selection.issuedBefore }),
      };
      const { withProgress } = invocation;
      const { matched, subjects, issuedBefore, complete, missed } = await withProgress(
        'Counting',
        (onProgress) => countGlobal(ports, policy, wide, { signal, onProgress }),
      );
      if (globals.dryRun) {
        return { revoked: matched, alreadyGone: 0, replicasConfirmed: 0, complete, missed, eventId: null };
      }
      signal.throwIfAborted();
      await invocation.confirm(
        `Revoke ${pluralize(matched, 'token')} of ${pluralize(subjects, 'subject')} for good?`,
      );
      return withProgress('Removing', (onProgress) =>
        revokeGlobally(ports, policy, { ...wide, issuedBefore }, { ...options, onProgress }),
      );
    }
  }
}

/** A token is revoked by what it says of itself, so it has to be one that a key of ours signed, whatever became of that key. */
async function identify(context: Context, token: string): Promise<{ sub: string; jti: string }> {
  const { findKey } = await storeVerification(context);
  const signed = await checkJws(token, { findKey }, { anyState: true });
  if ('active' in signed) {
    throw new JwtctlError(signed.error.code, `This token cannot be revoked: ${signed.error.message}`, {
      kind: 'refused',
      hint: 'A token that no key here signed is not accepted anyway. `jwtctl token revoke --sub S --jti J` takes a token by name.',
    });
  }
  const { sub, jti } = signed.payload;
  if (typeof sub === 'string' && isJti(jti)) return { sub: parseSubject(sub), jti };
  throw new JwtctlError('ERR_CLAIM_INVALID', 'This token cannot be revoked: it has no sub and jti.');
}

function assertPast(issuedBefore: number | undefined, { clock }: Pick<Administration, 'clock'>): void {
  if (issuedBefore === undefined || issuedBefore <= clock.now()) return;
  throw new JwtctlError(
    'ERR_FLAG_INVALID',
    '--issued-before is in the future: tokens that do not exist cannot be revoked.',
    {
      hint: 'Give a moment up to now.',
    },
  );
}
