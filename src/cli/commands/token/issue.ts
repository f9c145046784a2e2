import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import { openStoreIssuer } from '../../../issuer/store-issuer.js';
import type { Action, Invocation } from '../../invocation.js';
import { issuancePlan, issuedToken } from '../../output/views/tokens.js';
import { exactlyOne } from '../shared/flags.js';
import { assertMayCreateUsers, type IssueFlags, sharedRequest } from './issue-request.js';

export const issue: Action<IssueFlags, []> = async (invocation, flags) => {
  exactlyOne({ '--sub': flags.sub, '--sub-file': flags.subFile }, 'Whose token is it');
  if (flags.subFile !== undefined) {
    const { issueMany } = await import('./issue-bulk.js');
    return issueMany(invocation, flags, flags.subFile);
  }
  if (flags.format !== undefined) {
    throw new JwtctlError('ERR_FLAG_COMBINATION', '--format says what is in a --sub-file.');
  }
  return issueOne(invocation, flags, parseSubject(String(flags.sub)));
};

async function issueOne(invocation: Invocation, flags: IssueFlags, sub: string) {
  const request: TokenRequest = { ...(await sharedRequest(invocation, flags)), sub };
  const context = await invocation.context();
  const issuer = await openStoreIssuer(context, { createUsers: flags.createUser === true });
  issuer.validate(request);
  if (flags.createUser === true) assertMayCreateUsers(context);
  if (invocation.globals.dryRun) return { view: issuancePlan(await issuer.plan(request)) };

  const issued = await issuer.issue(request);
  const database = await context.database();
  await database.transaction(({ auditLog }) =>
    auditLog.append({
      at: issued.iat,
      actor: context.actor,
      action: 'token.issue',
      target: `${sub} ${issued.jti}`,
      outcome: 'done',
      reason: null,
    }),
  );
  return { view: issuedToken(issued) };
}
