import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/issue.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { ensureUser } from '../../../domain/users/manage.js';
import { openStoreIssuer } from '../../../issuer/store-issuer.js';
import { issuancePlan, issuedToken } from '../../output/views/tokens.js';
import { parseClaims } from './claims-flags.js';
import { exactlyOne } from '../shared/flags.js';
import type { Action, Invocation } from '../../invocation.js';

export interface IssueFlags {
  sub?: string;
  subFile?: string;
  format?: 'text' | 'ndjson';
  aud?: string[];
  ttl?: number;
  notBefore?: number;
  claim?: string[];
  claims?: string;
  label?: string;
  createUser?: true;
}

export const issue: Action<IssueFlags, []> = async (invocation, flags) => {
  exactlyOne({ '--sub': flags.sub, '--sub-file': flags.subFile }, 'Whose token is it');
  if (flags.subFile !== undefined) {
    const { issueMany } = await import('./issue-bulk.js');
    return issueMany(invocation, flags, flags.subFile);
  }
  if (flags.format !== undefined) {
    throw new JwtctlError('usage', 'ERR_FLAGS_CONTRADICT', '--format says what is in a --sub-file.');
  }
  return issueOne(invocation, flags, parseSubject(String(flags.sub)));
};

async function issueOne(invocation: Invocation, flags: IssueFlags, sub: string) {
  const request: TokenRequest = { ...(await sharedRequest(invocation, flags)), sub };
  const context = await invocation.context();
  const issuer = await openStoreIssuer(context);
  issuer.validate(request);
  const database = await context.database();
  if (flags.createUser === true) assertMayCreateUsers(context);
  const addsUser = flags.createUser === true && (await database.users.find(sub)) === null;
  if (invocation.globals.dryRun) return { view: issuancePlan(await issuer.plan(request, { addsUser })) };

  const { clock, actor } = context;
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
}

/** What the flags ask for, whoever the token is for. */
export async function sharedRequest(
  invocation: Invocation,
  flags: IssueFlags,
): Promise<Omit<TokenRequest, 'sub'>> {
  return {
    claims: await parseClaims(invocation, flags),
    ...(flags.aud === undefined ? {} : { aud: flags.aud }),
    ...(flags.ttl === undefined ? {} : { ttlSeconds: flags.ttl }),
    ...(flags.notBefore === undefined ? {} : { notBeforeSeconds: flags.notBefore }),
    ...(flags.label === undefined ? {} : { label: flags.label }),
  };
}

export function assertMayCreateUsers({ settings }: Context): void {
  if (settings.users.source === 'managed') return;
  throw new JwtctlError('state', 'ERR_USERS_NOT_MANAGED', '--create-user needs users.source managed.');
}
