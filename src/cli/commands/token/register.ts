import type { Context } from '../../../app/context.js';
import { mapLines } from '../../../domain/batch/line-batches.js';
import { isLegacyId } from '../../../domain/model/legacy-id.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import {
  type RegisterPolicy,
  type RegisterReport,
  registerToken,
  registerTokens,
} from '../../../domain/tokens/register.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { pluralize } from '../../output/pluralize.js';
import type { Outcome } from '../../output/view.js';
import { registeredItem, registeredToken } from '../../output/views/tokens.js';
import { checkAudience } from '../shared/audience-flag.js';
import { type ErrorPlace, errorsOption, streamThrough, tokenWords } from '../shared/bulk.js';
import { contradiction, exactlyOne } from '../shared/flags.js';
import { type PastedToken, pastedToken, tokenMember } from '../shared/pasted-token.js';
import { notToken, readToken } from '../shared/token-argument.js';

export const defineRegister: DefineCommand = (group, run) => {
  group
    .command('register')
    .argument('[token]', 'token; - reads standard input, @file reads a file')
    .description(
      'Register a token that was signed elsewhere.\n\nThe token must be signed with a key in this store. Exits with 1 if the token is refused.',
    )
    .option(
      '--token-file <file>',
      'register each token of this file, and print one JSON object per line; a line is a token, a row of a CSV with the column token, or an NDJSON object with `token`; - reads standard input',
    )
    .option(
      '--legacy',
      'also register tokens that lack kid, jti, iat, iss, or aud, or have an integer sub; verifiers accept them if token.acceptLegacy is set',
    )
    .addOption(errorsOption())
    .option('--aud <aud>', 'expected audience (default: token.audience)')
    .examples('echo "$TOKEN" | jwtctl token register -', 'jwtctl token register --token-file tokens.ndjson')
    .action(run(register));
};

interface RegisterFlags {
  tokenFile?: string;
  errors?: ErrorPlace;
  aud?: string;
  legacy?: true;
}

const register: Action<RegisterFlags, [string | undefined]> = async (invocation, flags, token) => {
  if (flags.aud !== undefined) checkAudience(flags.aud, invocation.caution);
  exactlyOne({ TOKEN: token, '--token-file': flags.tokenFile });
  if (flags.tokenFile === undefined && flags.errors !== undefined)
    throw contradiction('--errors requires --token-file.');
  return flags.tokenFile === undefined
    ? registerOne(invocation, flags, String(token))
    : registerMany(invocation, flags, flags.tokenFile);
};

async function registerOne(invocation: Invocation, flags: RegisterFlags, token: string): Promise<Outcome> {
  const text = await readToken(invocation, token);
  const context = await invocation.context();
  const { dryRun } = invocation.globals;
  const [ports, policy] = [await openPorts(context, dryRun), policyOf(context, flags)];
  const { registered, raised } = await registerToken(ports, policy, text, { dryRun, legacy: flags.legacy });
  return {
    view: registeredToken(registered, context.clock.now(), dryRun),
    notes: raised.map(raisedNote),
    warnings: notAccepted(context, isLegacyId(registered.jti)),
  };
}

async function registerMany(invocation: Invocation, flags: RegisterFlags, file: string): Promise<Outcome> {
  const { dryRun } = invocation.globals;
  const context = await invocation.context();
  const input = await invocation.openInput(file);
  const policy = policyOf(context, flags);
  // Opened before the first line is read, because a missing store is not the fault of a line.
  await Promise.all([context.database(), context.registry(), context.users()]);
  const records = await input.records(TOKENS);
  const raised = new Map<string, number>();
  let [refusedLegacy, hasLegacy] = [0, false];
  let pasted = 0;
  return streamThrough(invocation, context, {
    action: 'token.register',
    label: 'registering',
    ...tokenWords('registered', invocation.globals),
    errors: flags.errors,
    input,
    source: mapLines(records, (record) => {
      const { token, removed } = tokenOfRecord(record);
      if (removed.length > 0) pasted += 1;
      return token;
    }),
    work: async (tokens) => {
      const options = { dryRun, legacy: flags.legacy };
      const report = await registerTokens(await openPorts(context, dryRun), policy, tokens, options);
      refusedLegacy += report.refusedLegacy;
      hasLegacy ||= report.outcomes.some((outcome) => 'jti' in outcome && isLegacyId(outcome.jti));
      for (const { kid, maxTtlSeconds } of report.raised) {
        raised.set(kid, Math.max(raised.get(kid) ?? 0, maxTtlSeconds));
      }
      return report.outcomes;
    },
    item: (registered) => registeredItem(registered, dryRun),
    also: () => {
      const keys = [...raised].map(([kid, maxTtlSeconds]) => ({ kid, maxTtlSeconds }));
      const sentences = [...keys.map(raisedNote), ...notAccepted(context, hasLegacy)];
      if (pasted > 0)
        sentences.unshift(`${pluralize(pasted, 'line')} had more than the token. The rest was ignored.`);
      return {
        sentences: refusedLegacy === 0 ? sentences : [...sentences, legacyNote(refusedLegacy)],
        data: {
          ...(keys.length === 0 ? {} : { raised: keys }),
          ...(refusedLegacy === 0 ? {} : { refusedLegacy }),
        },
      };
    },
  });
}

const TOKENS = {
  plural: 'tokens',
  required: ['token', 'access_token'],
  optional: [],
  hasOthers: true,
  isMixed: true,
  form: /eyJ[\w-]|[\w-]{8,}\.[\w=-]{2,}\.|^\s*\{/m,
} as const;

/** @throws JwtctlError `ERR_LINE_NO_TOKEN` (usage), `ERR_TOKEN_MALFORMED` (refused) */
function tokenOfRecord({ token, access_token: accessToken }: Record<string, unknown>): PastedToken {
  const text = String(token ?? accessToken);
  const pasted = pastedToken(text);
  if (pasted.fault === null) return pasted;
  if (!/^\s*[[{]/.test(text) || tokenMember(text) !== null) throw notToken(pasted.fault);
  throw new JwtctlError(
    'ERR_LINE_NO_TOKEN',
    'The line is neither a token nor a JSON object with a string `token`.',
  );
}

function policyOf({ settings }: Context, { aud }: RegisterFlags): RegisterPolicy {
  const { token, users, registry } = settings;
  return {
    issuer: token.issuer,
    audience: aud ?? token.audience,
    clockToleranceSeconds: token.clockTolerance,
    maxTtlSeconds: token.maxTtl,
    statusTtlSeconds: users.statusTtl,
    maxPerSubject: registry.maxPerSubject ?? undefined,
  };
}

/** Fails if the database lacks later revocations, because registering grants access. */
async function openPorts(context: Context, dryRun: boolean) {
  const [ports, users, guard] = await Promise.all([
    context.administration(),
    context.users(),
    context.guard(),
  ]);
  if (!dryRun) await guard.assertCurrent();
  return { ...ports, users };
}

function legacyNote(count: number): string {
  return `${pluralize(count, 'token')} may lack only kid, jti, iat, iss, or aud, or have an integer sub. To register them, use --legacy.`;
}

/** Returns a warning if verifiers refuse the registered legacy tokens. */
function notAccepted({ settings, clock }: Context, hasLegacy: boolean): string[] {
  const { acceptLegacy } = settings.token;
  if (!hasLegacy || (acceptLegacy !== null && clock.now() < acceptLegacy)) return [];
  const why = acceptLegacy === null ? 'is not set' : 'has passed';
  return [`Verifiers refuse these tokens: token.acceptLegacy ${why}.`];
}

function raisedNote({ kid, maxTtlSeconds }: RegisterReport['raised'][number]): string {
  const lifetime = formatDuration(maxTtlSeconds);
  return `Key ${kid} now has tokens with a lifetime of up to ${lifetime}. It verifies for that long after it stops signing.`;
}
