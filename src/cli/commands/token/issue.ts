import { Option } from 'commander';
import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import { openStoreIssuer } from '../../../issuer/store-issuer.js';
import type { Action, DefineCommand, Invocation } from '../../invocation.js';
import { issuancePlan, issuedToken } from '../../output/views/tokens.js';
import { examples } from '../shared/examples.js';
import { durationFlag, exactlyOne, repeatedFlag } from '../shared/flags.js';
import { assertMayCreateUsers, type IssueFlags, sharedRequest } from './issue-request.js';

export const defineIssue: DefineCommand = (group, run) => {
  group
    .command('issue')
    .option('--sub <sub>', 'the subject: an enabled user')
    .option('--sub-file <file>', 'many: a subject a line, - for standard input; prints an object a line')
    .addOption(
      new Option(
        '--format <format>',
        'of --sub-file (default: text); ndjson: objects with sub and aud, ttl …',
      ).choices(['text', 'ndjson']),
    )
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
        'jwtctl token issue --sub-file users.txt > tokens.ndjson',
      ),
    )
    .action(run(issue));
};

const issue: Action<IssueFlags, []> = async (invocation, flags) => {
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
