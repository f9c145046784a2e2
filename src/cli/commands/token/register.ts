import type { Context } from '../../../app/context.js';
import { mapLines } from '../../../domain/batch/line-batches.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { tokenOfLine } from '../../../domain/tokens/issued-token.js';
import { type AdoptedToken, type Adoption, adoptTokens } from '../../../domain/tokens/register.js';
import type { Action, Invocation } from '../../invocation.js';
import type { Outcome } from '../../output/view.js';
import { adoptedItem, adoptedToken } from '../../output/views/tokens.js';
import { streamThrough } from '../shared/bulk.js';
import { exactlyOne } from '../shared/flags.js';

interface RegisterFlags {
  tokenFile?: string;
  aud?: string;
}

export const register: Action<RegisterFlags, [string | undefined]> = async (invocation, flags, token) => {
  exactlyOne({ TOKEN: token, '--token-file': flags.tokenFile }, 'Which token is it');
  return flags.tokenFile === undefined
    ? registerOne(invocation, flags, String(token))
    : registerMany(invocation, flags, flags.tokenFile);
};

async function registerOne(invocation: Invocation, flags: RegisterFlags, token: string): Promise<Outcome> {
  const text = await invocation.readText(token);
  const context = await invocation.context();
  const { dryRun } = invocation.globals;
  const { outcomes, raised } = await adoptingWith(context, flags)([text], { dryRun });
  const [adopted] = outcomes as [AdoptedToken | JwtctlError];
  if (adopted instanceof JwtctlError) throw adopted;
  if (!dryRun) await record(context, adopted);
  return { view: adoptedToken(adopted, context.clock.now(), dryRun), notes: raised.map(raisedNote) };
}

async function registerMany(invocation: Invocation, flags: RegisterFlags, file: string): Promise<Outcome> {
  const { dryRun } = invocation.globals;
  const context = await invocation.context();
  const input = await invocation.openInput(file);
  const adopt = adoptingWith(context, flags);
  // Opened before the first line is read: a store that is not there is no fault of a line.
  await Promise.all([context.database(), context.registry(), context.users()]);
  const raised = new Map<string, number>();
  return streamThrough(invocation, context, {
    action: 'token.register',
    label: 'registering',
    done: 'registered',
    input,
    source: mapLines(input.lines(), tokenOfLine),
    work: async (tokens) => {
      const adoption = await adopt(tokens, { dryRun });
      for (const { kid, maxTtlSeconds } of adoption.raised) {
        raised.set(kid, Math.max(raised.get(kid) ?? 0, maxTtlSeconds));
      }
      return adoption.outcomes;
    },
    item: (adopted) => adoptedItem(adopted, dryRun),
    also: () => {
      const keys = [...raised].map(([kid, maxTtlSeconds]) => ({ kid, maxTtlSeconds }));
      return { words: keys.map(raisedNote), data: keys.length === 0 ? {} : { raised: keys } };
    },
  });
}

function adoptingWith(
  context: Context,
  { aud }: RegisterFlags,
): (tokens: readonly string[], options: { dryRun: boolean }) => Promise<Adoption> {
  const { token, users, registry } = context.settings;
  const policy = {
    issuer: token.issuer,
    audience: aud ?? token.audience,
    clockToleranceSeconds: token.clockTolerance,
    maxTtlSeconds: token.maxTtl,
    statusTtlSeconds: users.statusTtl,
    ...(registry.maxPerSubject === null ? {} : { maxPerSubject: registry.maxPerSubject }),
  };
  return async (tokens, options) => {
    const [ports, directory, guard] = await Promise.all([
      context.administration(),
      context.users(),
      context.guard(),
    ]);
    if (!options.dryRun) await guard.assertCurrent();
    return adoptTokens({ ...ports, users: directory }, policy, tokens, options);
  };
}

async function record(context: Context, { sub, jti }: AdoptedToken): Promise<void> {
  const { database, clock, actor } = await context.administration();
  await database.transaction(({ auditLog }) =>
    auditLog.append({
      at: clock.now(),
      actor,
      action: 'token.register',
      target: `${sub} ${jti}`,
      outcome: 'done',
      reason: null,
    }),
  );
}

function raisedNote({ kid, maxTtlSeconds }: Adoption['raised'][number]): string {
  const lifetime = formatDuration(maxTtlSeconds);
  return `Key ${kid} has tokens now that live for up to ${lifetime}: once it stops signing it verifies for that long.`;
}
