import { parseSubject } from '../../../domain/model/subject.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import { openStoreIssuer } from '../../../issuer/store-issuer.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { issuancePlan, issuedToken } from '../../output/views/tokens.js';
import { errorsOption, formatOption } from '../shared/bulk.js';
import { contradiction, durationFlag, exactlyOne, repeatedFlag } from '../shared/flags.js';
import { reasonOption } from '../shared/reason-option.js';
import {
  assertMayCreateUsers,
  cautionUnusedClient,
  type IssueFlags,
  sharedRequest,
} from './issue-request.js';
import { LongTokens } from './long-tokens.js';

export const defineIssue: DefineCommand = (group, run) => {
  group
    .command('issue')
    .description(
      'Sign, register, and print a token.\n\nWith --sub-file, each line is a subject, a row of a CSV with a header, or an NDJSON object. A row or an object has sub and can have aud, ttl, and notBefore. An object can also have claims and meta. A column or member called name is ignored. A flag applies to each line that does not set that value itself.',
    )
    .option('--sub <sub>', 'subject: an enabled user')
    .option(
      '--sub-file <file>',
      'issue a token for each line of this file, and print one JSON object per line; - reads standard input',
    )
    .addOption(formatOption('format of --sub-file'))
    .addOption(errorsOption())
    .option('--aud <aud>', 'audience; can be repeated (default: token.audience)', repeatedFlag)
    .option('--ttl <duration>', 'lifetime, at most token.maxTtl (default: token.ttl)', durationFlag)
    .option('--not-before <duration>', 'delay until the token becomes valid', durationFlag)
    .option(
      '--claim <name=value>',
      'additional claim; a value that is not JSON is taken as text; can be repeated',
      repeatedFlag,
    )
    .option('--claims <file>', 'additional claims: a file with a JSON object; - reads standard input')
    .option(
      '--meta <name=value>',
      'fact about the session, such as device=iPhone, shown by `token list`; can be repeated (at most 8, 512 bytes)',
      repeatedFlag,
    )
    .option('--refresh', 'begin a session: also print a refresh token, on the second line')
    .option(
      '--client-id <id>',
      'ID of the client that the token is issued to: the client_id of the token if token.type is at+jwt, and the only client that can use the refresh token',
    )
    .option(
      '--act <operator>',
      'operator who acts as the user: the act of the token, which lives at most token.actMaxTtl',
    )
    .addOption(reasonOption())
    .option('--create-user', 'add the user if the user does not exist')
    .examples(
      'jwtctl token issue --sub alice',
      'jwtctl token issue --sub alice --ttl 15m --claim role=admin',
      'jwtctl token issue --sub-file users.txt > tokens.ndjson',
    )
    .action(run(issue));
};

const issue: Action<IssueFlags, []> = async (invocation, flags) => {
  exactlyOne({ '--sub': flags.sub, '--sub-file': flags.subFile });
  if (flags.subFile !== undefined) {
    const { issueMany } = await import('./issue-bulk.js');
    return issueMany(invocation, flags, flags.subFile);
  }
  if (flags.format !== undefined) throw contradiction('--format requires --sub-file.');
  if (flags.errors !== undefined) throw contradiction('--errors requires --sub-file.');
  return issueOne(invocation, flags, parseSubject(String(flags.sub)));
};

async function issueOne(invocation: Invocation, flags: IssueFlags, sub: string) {
  const request: TokenRequest = { ...(await sharedRequest(invocation, flags)), sub };
  const context = await invocation.context();
  const issuer = await openStoreIssuer(context, { createUsers: flags.createUser === true });
  issuer.validate(request);
  cautionUnusedClient(invocation, flags, context);
  if (flags.createUser === true) assertMayCreateUsers(context);
  if (invocation.globals.dryRun) return { view: issuancePlan(await issuer.plan(request)) };
  const issued = await issuer.issue(request);
  const long = new LongTokens();
  long.add(issued.token);
  return { view: issuedToken(issued), warnings: long.warnings() };
}
