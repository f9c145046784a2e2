import { Option } from 'commander';
import { decodeToken } from '../../../domain/jose/jws.js';
import { parseJti } from '../../../domain/model/jti.js';
import { parseKid } from '../../../domain/model/kid.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { parseReason } from '../../../domain/shared/text.js';
import { verifyToken } from '../../../domain/tokens/verify.js';
import { storeVerification } from '../../../verifier/store-verification.js';
import type { Action, DefineGroup } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { decodedToken, tokenList, verification } from '../../output/views/tokens.js';
import { examples } from '../shared/examples.js';
import { durationFlag, momentFlag, repeatedFlag } from '../shared/flags.js';
import { waitFleetOption } from '../shared/fleet-wait.js';
import { issue } from './issue.js';
import { register } from './register.js';
import { revoke } from './revoke.js';

export const defineToken: DefineGroup = (group, run) => {
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

  group
    .command('register')
    .argument('[token]', 'a token that was signed elsewhere, - for standard input, or @file')
    .option(
      '--token-file <file>',
      'many: a token a line, or NDJSON objects with `token`; - for standard input; prints an object a line',
    )
    .option('--aud <aud>', 'the audience to expect (default: token.audience)')
    .description(
      'adopt a token that was issued elsewhere with a key that is here; exits 1 where it does not hold',
    )
    .addHelpText(
      'after',
      examples('echo "$TOKEN" | jwtctl token register -', 'jwtctl token register --token-file tokens.ndjson'),
    )
    .action(run(register));

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
    .option('--sub <sub>', 'the subject whose tokens are meant; with --jti, --all or --issued-before')
    .option('--jti <jti>', 'one token of the subject', parseJti)
    .option('--all', 'all tokens of the subject')
    .option('--kid <kid>', 'all tokens under a key', parseKid)
    .option(
      '--issued-before <time>',
      'all tokens issued then or earlier (NumericDate or ISO 8601); of the subject alone with --sub',
      momentFlag('--issued-before'),
    )
    .option('--reason <text>', 'why, for the security log and the audit log', parseReason)
    .addOption(waitFleetOption())
    .description('end tokens for good, at once and everywhere')
    .addHelpText(
      'after',
      examples('jwtctl token revoke --sub alice --all --wait-fleet', 'echo "$TOKEN" | jwtctl token revoke -'),
    )
    .action(run(revoke));
};

const decode: Action<object, [string]> = async (invocation, _flags, token) => {
  const decoded = decodeToken(await invocation.readText(token));
  if (typeof decoded === 'string') {
    throw new JwtctlError('ERR_TOKEN_MALFORMED', `This is not a JWT: ${decoded}.`);
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
