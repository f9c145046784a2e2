import { refuse } from '../../../domain/model/refusal-codes.js';
import { explainToken, notRead } from '../../../domain/verification/explain.js';
import { askedOnce } from '../../../verifier/asked-once.js';
import { storeVerification } from '../../../verifier/store-verification.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { explanation } from '../../output/views/token/explanation.js';
import { checkAudience } from '../shared/audience-flag.js';
import { notToken, readPastedToken } from '../shared/token-argument.js';

export const defineExplain: DefineCommand = (group, run) => {
  group
    .command('explain')
    .argument('<token>', 'token; - reads standard input, @file reads a file')
    .description(
      'Explain why a token is accepted or refused.\n\nRuns every check, and shows the facts behind each: the key and its history, the time left, the registry entry, who revoked the token, when, and why, and the user. Exits with 1 if the token is refused.',
    )
    .option('--aud <aud>', 'expected audience (default: token.audience)')
    .examples('echo "$TOKEN" | jwtctl token explain -', 'jwtctl token explain @token.txt --json')
    .action(run(explain));
};

const explain: Action<{ aud?: string }, [string]> = async (invocation, flags, token) => {
  const { token: text, fault } = await readPastedToken(invocation, token);
  const context = await invocation.context({ migratesEmbedded: false });
  const [{ auditLog, ...database }, registry, users] = await Promise.all([
    context.database(),
    context.registry(),
    context.users(),
  ]);
  const stores = askedOnce({ ...database, registry, users });
  const ports = await storeVerification(context, stores);
  const audience =
    flags.aud === undefined ? ports.policy.audience : checkAudience(flags.aud, invocation.caution);
  const verification = { ...ports, policy: { ...ports.policy, audience } };
  const explained =
    fault === null
      ? await explainToken(text, { ...stores, verification, auditLog, registry })
      : notRead(
          { result: refuse('ERR_TOKEN_MALFORMED', notToken(fault).message), kid: null, passed: [] },
          ports.now(),
        );
  return {
    view: explanation(explained),
    exitCode: explained.result.active ? EXIT.done : EXIT.refused,
  };
};
