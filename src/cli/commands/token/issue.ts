import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/issue.js';
import { ensureUser } from '../../../domain/users/manage.js';
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
