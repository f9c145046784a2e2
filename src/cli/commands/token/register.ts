import type { Context } from '../../../app/context.js';
import { mapLines } from '../../../domain/batch/line-batches.js';
import { isLegacyId } from '../../../domain/model/legacy-id.js';
import { RegistrationPlan } from '../../../domain/registry/registration-plan.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { describeEnd } from '../../../domain/shared/last-day.js';
import { grouped, pluralize } from '../../../domain/shared/pluralize.js';
import {
  type RegisteredToken,
  type RegisterOptions,
  type RegisterPolicy,
  type RegisterReport,
  registerToken,
  registerTokens,
} from '../../../domain/tokens/register.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import type { RecordFormat } from '../../io.js';
import { isoTime } from '../../output/time.js';
import type { Outcome } from '../../output/view.js';
import { registeredItem, registeredToken } from '../../output/views/tokens.js';
import { checkAudience } from '../shared/audience-flag.js';
import { type ErrorPlace, errorsOption, formatOption, streamThrough, tokenWords } from '../shared/bulk.js';
import { contradiction, exactlyOne } from '../shared/flags.js';
import { type PastedToken, pastedToken, REDIS_ERROR, tokenMember } from '../shared/pasted-token.js';
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
      'also register tokens that lack kid, jti, iat, iss, or aud, have a kid that no key has, or have an integer sub; verifiers accept them until token.acceptLegacy',
    )
    .addOption(formatOption('format of --token-file'))
    .addOption(errorsOption())
    .option('--aud <aud>', 'expected audience (default: token.audience)')
    .examples('echo "$TOKEN" | jwtctl token register -', 'jwtctl token register --token-file tokens.ndjson')
    .action(run(register));
};

interface RegisterFlags {
  tokenFile?: string;
  format?: RecordFormat;
  errors?: ErrorPlace;
  aud?: string;
  legacy?: true;
}

const register: Action<RegisterFlags, [string | undefined]> = async (invocation, flags, token) => {
  if (flags.aud !== undefined) checkAudience(flags.aud, invocation.caution);
  exactlyOne({ TOKEN: token, '--token-file': flags.tokenFile });
  if (flags.tokenFile === undefined) {
    if (flags.format !== undefined) throw contradiction('--format requires --token-file.');
    if (flags.errors !== undefined) throw contradiction('--errors requires --token-file.');
  }
  return flags.tokenFile === undefined
    ? registerOne(invocation, flags, String(token))
    : registerMany(invocation, flags, flags.tokenFile);
};

async function registerOne(invocation: Invocation, flags: RegisterFlags, token: string): Promise<Outcome> {
  const text = await readToken(invocation, token);
  const context = await invocation.context();
  const { dryRun } = invocation.globals;
  const [ports, policy] = [await openPorts(context), policyOf(context, flags)];
  const { registered, raised, known } = await registerToken(ports, policy, text, optionsOf(flags, dryRun));
  const legacy = new LegacyTally();
  legacy.add(registered);
  return {
    view: registeredToken(registered, context.clock.now(), dryRun),
    notes: [...raised.map(raisedNote), ...(known === 0 ? [] : ['The token was registered before.'])],
    warnings: legacy.warnings(context),
  };
}

async function registerMany(invocation: Invocation, flags: RegisterFlags, file: string): Promise<Outcome> {
  const { dryRun } = invocation.globals;
  const context = await invocation.context();
  const input = await invocation.openInput(file);
  const policy = policyOf(context, flags);
  // Opened before the first line is read, because a missing store is not the fault of a line.
  await Promise.all([context.database(), context.registry(), context.users()]);
  const records = await input.records(TOKENS, flags.format);
  const raised = new Map<string, number>();
  const legacy = new LegacyTally();
  let refusedLegacy = 0;
  let pasted = 0;
  let known = 0;
  let plan: RegistrationPlan | undefined;
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
      const ports = await openPorts(context);
      plan ??= new RegistrationPlan(ports.registry);
      const report = await registerTokens(ports, policy, tokens, { ...optionsOf(flags, dryRun), plan });
      refusedLegacy += report.refusedLegacy;
      known += report.known;
      for (const outcome of report.outcomes) if ('jti' in outcome) legacy.add(outcome);
      for (const { kid, maxTtlSeconds } of report.raised) {
        raised.set(kid, Math.max(raised.get(kid) ?? 0, maxTtlSeconds));
      }
      return report.outcomes;
    },
    item: (registered) => registeredItem(registered, dryRun),
    also: () => {
      const keys = [...raised].map(([kid, maxTtlSeconds]) => ({ kid, maxTtlSeconds }));
      const before = known === 0 ? [] : [knownNote(known)];
      const sentences = [...before, ...keys.map(raisedNote), ...legacy.warnings(context)];
      if (pasted > 0)
        sentences.unshift(
          `${pluralize(pasted, 'line')} contained more than the token. The rest was ignored.`,
        );
      return {
        sentences: refusedLegacy === 0 ? sentences : [...sentences, legacyNote(refusedLegacy)],
        data: {
          ...(known === 0 ? {} : { alreadyRegistered: known }),
          ...(keys.length === 0 ? {} : { raised: keys }),
          ...(refusedLegacy === 0 ? {} : { refusedLegacy }),
        },
      };
    },
  });
}

export const TOKENS = {
  plural: 'tokens',
  required: ['token', 'access_token', 'jwt'],
  optional: [],
  hasOthers: true,
  isMixed: true,
  form: new RegExp(`eyJ[\\w-]|[\\w-]{8}\\.[\\w=-]{2,}\\.|^[ \\t]*\\{|${REDIS_ERROR.source}`, 'm'),
} as const;

/** @throws JwtctlError `ERR_LINE_NO_TOKEN` (usage), `ERR_TOKEN_MALFORMED` (refused) */
function tokenOfRecord({ token, access_token: accessToken, jwt }: Record<string, unknown>): PastedToken {
  const text = String(token ?? accessToken ?? jwt);
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
    acceptTypes: token.acceptTypes,
    audience: aud ?? token.audience,
    clockToleranceSeconds: token.clockTolerance,
    maxTtlSeconds: token.maxTtl,
    statusTtlSeconds: users.statusTtl,
    maxPerSubject: registry.maxPerSubject ?? undefined,
    onLimit: registry.onLimit,
  };
}

/** Fails if the database lacks later revocations, because registering grants access. */
async function openPorts(context: Context) {
  const [ports, users, guard] = await Promise.all([
    context.administration(),
    context.users(),
    context.guard(),
  ]);
  await guard.assertCurrent();
  return { ...ports, users };
}

function optionsOf({ legacy }: RegisterFlags, dryRun: boolean): RegisterOptions {
  return { dryRun, legacy };
}

function legacyNote(count: number): string {
  const [lack, have, them] = count === 1 ? ['lacks', 'has', 'it'] : ['lack', 'have', 'them'];
  return `${pluralize(count, 'token')} ${lack} kid, jti, iat, iss, or aud, ${have} a kid that no key has, or ${have} an integer sub. Register ${them} with --legacy.`;
}

/** Collects when the registered legacy tokens expire. */
class LegacyTally {
  readonly #expiries: number[] = [];

  add({ jti, exp }: RegisteredToken): void {
    if (isLegacyId(jti)) this.#expiries.push(exp);
  }

  /** Returns a warning if verifiers refuse some of the tokens, now or before they expire. */
  warnings({ settings, clock }: Context): string[] {
    const { acceptLegacy } = settings.token;
    if (this.#expiries.length === 0) return [];
    if (acceptLegacy === null) return ['Verifiers refuse these tokens: token.acceptLegacy is not set.'];
    const end = `token.acceptLegacy ended ${describeEnd(acceptLegacy)}`;
    if (clock.now() >= acceptLegacy) return [`Verifiers refuse these tokens: ${end}.`];
    const late = this.#expiries.filter((exp) => exp > acceptLegacy);
    if (late.length === 0) return [];
    const last = isoTime(late.reduce((one, other) => Math.max(one, other)));
    const tokens = pluralize(late.length, 'token expires', 'tokens expire');
    return [
      `${tokens} after token.acceptLegacy ends (${describeEnd(acceptLegacy).replace(/^\w+ /, '')}), the last at ${last}. Verifiers refuse them after that date.`,
    ];
  }
}

function knownNote(count: number): string {
  return `${grouped(count)} of them ${count === 1 ? 'was' : 'were'} registered before.`;
}

function raisedNote({ kid, maxTtlSeconds }: RegisterReport['raised'][number]): string {
  const lifetime = formatDuration(maxTtlSeconds);
  return `Key ${kid} now has tokens with a lifetime of up to ${lifetime}. It verifies for that long after it stops signing.`;
}
