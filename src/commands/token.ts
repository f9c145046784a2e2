import type { Context } from '../context.js';
import { JwtctlError } from '../domain/errors.js';
import type { TokenRequest } from '../domain/issuance.js';
import { isJti, parseJti } from '../domain/jti.js';
import { decodeToken } from '../domain/jws.js';
import { requireKey } from '../domain/key-lookup.js';
import { parseKid } from '../domain/kid.js';
import { parseReason } from '../domain/prose.js';
import {
  countWide,
  type RevocationOutcome,
  revokeSubject,
  revokeToken,
  revokeWide,
} from '../domain/revocation.js';
import { parseSubject } from '../domain/subject.js';
import { ensureUser } from '../domain/user-administration.js';
import { checkJws, verifyToken } from '../domain/verification.js';
import { openStoreIssuer } from '../issue/store-issuer.js';
import { counted } from '../output/counted.js';
import { EXIT } from '../output/exit-code.js';
import {
  decodedToken,
  issuancePlan,
  issuedToken,
  revocation,
  tokenList,
  verification,
} from '../output/views/tokens.js';
import { storeVerification } from '../verify/store-verification.js';
import { parseClaims } from './claims-flags.js';
import { examples } from './examples.js';
import { durationFlag, momentFlag, repeatedFlag } from './flags.js';
import type { Action, DefineGroup, Invocation } from './invocation.js';
import { lifetimePolicy } from './lifetime-policy.js';

export const defineToken: DefineGroup = (group, run) => {
  group
    .command('issue')
    .requiredOption('--sub <sub>', 'the subject: an enabled user')
    .option('--aud <aud>', 'audience; may be repeated (default: token.audience)', repeatedFlag)
    .option('--ttl <duration>', 'lifetime (default: token.ttl; at most token.maxTtl)', durationFlag)
    .option('--not-before <duration>', 'how long after now the token begins to be valid', durationFlag)
    .option('--claim <name=value>', 'a further claim, as JSON or else as text; may be repeated', repeatedFlag)
    .option('--claims <file>', 'further claims: a JSON object in a file, or - for standard input')
    .option('--label <text>', 'device or address, shown by `token list`; at most 128 bytes')
    .option('--create-user', 'add the user if there is none')
    .description('sign a token, register it and print it')
    .addHelpText(
      'after',
      examples(
        'jwtctl token issue --sub alice',
        'jwtctl token issue --sub alice --ttl 15m --claim role=admin',
      ),
    )
    .action(run(issue));

  group
    .command('decode')
    .argument('<token>', 'the token, - for standard input, or @file')
    .description('read a token without checking anything')
    .addHelpText('after', examples('jwtctl token decode -', 'jwtctl token decode @token.txt --json'))
    .action(run(decode));

  group
    .command('verify')
    .argument('<token>', 'the token, - for standard input, or @file')
    .option('--aud <aud>', 'the audience to expect (default: token.audience)')
    .description(
      'make the four checks: signature, claims, registry, user; exits 1 where the token does not hold',
    )
    .addHelpText(
      'after',
      examples('echo "$TOKEN" | jwtctl token verify -', 'jwtctl token verify @token.txt --aud api'),
    )
    .action(run(verify));

  group
    .command('list')
    .requiredOption('--sub <sub>', 'the subject')
    .description('list the live tokens of a subject')
    .addHelpText('after', examples('jwtctl token list --sub alice', 'jwtctl token list --sub alice -q'))
    .action(run(list));

  group
    .command('revoke')
    .argument('[token]', 'the token, - for standard input, or @file')
    .option('--sub <sub>', 'the subject whose tokens are meant; with --jti or --all')
    .option('--jti <jti>', 'one token of the subject', parseJti)
    .option('--all', 'all tokens of the subject')
    .option('--kid <kid>', 'all tokens under a key', parseKid)
    .option(
      '--issued-before <time>',
      'all tokens issued then or earlier (NumericDate or ISO 8601)',
      momentFlag('--issued-before'),
    )
    .option('--reason <text>', 'why, for the security log and the audit log', parseReason)
    .description('end tokens for good, at once and everywhere')
    .addHelpText(
      'after',
      examples('jwtctl token revoke --sub alice --all', 'echo "$TOKEN" | jwtctl token revoke -'),
    )
    .action(run(revoke));
};

interface IssueFlags {
  sub: string;
  aud?: string[];
  ttl?: number;
  notBefore?: number;
  claim?: string[];
  claims?: string;
  label?: string;
  createUser?: true;
}

const issue: Action<IssueFlags, []> = async (invocation, flags) => {
  const { globals } = invocation;
  const sub = parseSubject(flags.sub);
  const claims = await parseClaims(invocation, flags);
  const request: TokenRequest = {
    sub,
    claims,
    ...(flags.aud === undefined ? {} : { aud: flags.aud }),
    ...(flags.ttl === undefined ? {} : { ttlSeconds: flags.ttl }),
    ...(flags.notBefore === undefined ? {} : { notBeforeSeconds: flags.notBefore }),
    ...(flags.label === undefined ? {} : { label: flags.label }),
  };
  const context = await invocation.context();
  const issuer = await openStoreIssuer(context);
  issuer.validate(request);
  const addsUser = flags.createUser === true && (await isMissing(context, sub));
  if (globals.dryRun) return { view: issuancePlan(await issuer.plan(request, { addsUser })) };

  const { clock, actor } = context;
  const database = await context.database();
  if (addsUser) await ensureUser({ database, clock, actor }, sub);
  const issued = await issuer.issue(request);
  await database.transaction(({ auditLog }) =>
    auditLog.append({
      at: issued.iat,
      actor,
      action: 'token.issue',
      target: `${sub} ${issued.jti}`,
      outcome: 'done',
      reason: null,
    }),
  );
  return { view: issuedToken(issued) };
};

async function isMissing(context: Context, sub: string): Promise<boolean> {
  if (context.settings.users.source !== 'managed') {
    throw new JwtctlError('state', 'ERR_USERS_NOT_MANAGED', '--create-user needs users.source managed.');
  }
  return (await (await context.database()).users.find(sub)) === null;
}

const decode: Action<object, [string]> = async (invocation, _flags, token) => {
  const decoded = decodeToken(await invocation.readText(token));
  if (typeof decoded === 'string') {
    throw new JwtctlError('refused', 'ERR_TOKEN_MALFORMED', `This is not a JWT: ${decoded}.`);
  }
  // The table says so itself; beside JSON it goes to stderr.
  const notes =
    invocation.globals.format === 'table' ? [] : ['Not verified: nothing of this token has been checked.'];
  return { view: decodedToken(decoded), notes };
};

const verify: Action<{ aud?: string }, [string]> = async (invocation, flags, token) => {
  const text = await invocation.readText(token);
  const ports = await storeVerification(await invocation.context());
  const policy = flags.aud === undefined ? ports.policy : { ...ports.policy, audience: flags.aud };
  const result = await verifyToken(text, { ...ports, policy });
  return { view: verification(result), exitCode: result.active ? EXIT.done : EXIT.refused };
};

const list: Action<{ sub: string }, []> = async (invocation, flags) => {
  const sub = parseSubject(flags.sub);
  const context = await invocation.context();
  const { database, registry, clock } = await context.administration();
  const now = clock.now();
  const [entries, { keys }] = await Promise.all([registry.list(sub, now), database.keys.snapshot()]);
  const kids = new Map(keys.map((key) => [key.id, key.kid]));
  return {
    view: tokenList(
      entries.map((entry) => ({ ...entry, kid: kids.get(entry.keyId) ?? null })),
      sub,
      now,
    ),
  };
};

interface RevokeFlags {
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
  return {
    view: revocation(outcome, invocation.globals.dryRun),
    exitCode: outcome.complete ? EXIT.done : EXIT.partial,
    notes: outcome.complete ? revocationNotes(outcome, selection) : [],
    warnings: outcome.complete ? [] : [incompleteRevocation(invocation.globals.dryRun)],
  };
};

function incompleteRevocation(dryRun: boolean): string {
  return dryRun
    ? 'Not all of the registry could be seen: there may be more.'
    : 'The security log holds for every verifier; not every entry could be removed. Run the same command again.';
}

function revocationNotes({ alreadyGone, revoked }: RevocationOutcome, selection: Selection): string[] {
  if (alreadyGone > 0) {
    return [
      'It is not in the registry: expired, revoked before, or never issued. It is refused in any case.',
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
  'TOKEN, --sub S --jti J, --sub S --all, --sub S --issued-before T, --kid K or --issued-before T';

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
  throw new JwtctlError('usage', 'ERR_FLAGS_CONTRADICT', 'These flags do not say which tokens are meant.', {
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
  if ('issuedBefore' in selection) assertPast(selection.issuedBefore, context);

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
      const { matched, subjects, issuedBefore, complete, missed } = await countWide(ports, wide, signal);
      if (globals.dryRun) return { revoked: matched, alreadyGone: 0, replicasConfirmed: 0, complete, missed };
      signal.throwIfAborted();
      await invocation.confirm(
        `Revoke ${counted(matched, 'token')} of ${counted(subjects, 'subject')} for good?`,
      );
      return revokeWide(ports, policy, { ...wide, issuedBefore }, options);
    }
  }
}

/** A token is revoked by what it says of itself, so it has to be one that a key of ours signed, whatever became of that key. */
async function identify(context: Context, token: string): Promise<{ sub: string; jti: string }> {
  const { findKey } = await storeVerification(context);
  const signed = await checkJws(token, { findKey }, { anyState: true });
  if ('active' in signed) {
    throw new JwtctlError(
      'refused',
      signed.error.code,
      `This token cannot be revoked: ${signed.error.message}`,
      {
        hint: 'A token that no key here signed is not accepted anyway. `jwtctl token revoke --sub S --jti J` takes a token by name.',
      },
    );
  }
  const { sub, jti } = signed.payload;
  if (typeof sub === 'string' && isJti(jti)) return { sub: parseSubject(sub), jti };
  throw new JwtctlError(
    'refused',
    'ERR_CLAIM_INVALID',
    'This token cannot be revoked: it has no sub and jti.',
  );
}

function assertPast(issuedBefore: number | undefined, { clock }: Context): void {
  if (issuedBefore === undefined || issuedBefore <= clock.now()) return;
  throw new JwtctlError(
    'usage',
    'ERR_FLAG_INVALID',
    '--issued-before is in the future: tokens that do not exist cannot be revoked.',
    {
      hint: 'Give a moment up to now.',
    },
  );
}
