import { decodeToken } from '../../../domain/jose/jws.js';
import { refuse } from '../../../domain/model/refusal-codes.js';
import { withDigits } from '../../../domain/verification/claim-digits.js';
import { type Verification, verifyWithKey } from '../../../domain/verification/verify.js';
import { storeVerification } from '../../../verifier/store-verification.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { EXIT } from '../../output/exit-code.js';
import { verification } from '../../output/views/token/verification.js';
import { checkAudience } from '../shared/audience-flag.js';
import { notToken, readPastedToken } from '../shared/token-argument.js';

export const defineVerify: DefineCommand = (group, run) => {
  group
    .command('verify')
    .argument('<token>', 'token; - reads standard input, @file reads a file')
    .description(
      'Verify a token: signature, claims, registry, and user.\n\nExits with 1 if the token is refused.',
    )
    .option('--aud <aud>', 'expected audience (default: token.audience)')
    .examples('echo "$TOKEN" | jwtctl token verify -', 'jwtctl token verify @token.txt --aud api')
    .action(run(verify));
};

const verify: Action<{ aud?: string }, [string]> = async (invocation, flags, token) => {
  const { token: text, fault } = await readPastedToken(invocation, token);
  const context = await invocation.context({ migratesEmbedded: false });
  const ports = await storeVerification(context);
  const requiresUser = context.settings.users.source !== 'off';
  const audience =
    flags.aud === undefined ? ports.policy.audience : checkAudience(flags.aud, invocation.caution);
  const policy = { ...ports.policy, audience };
  const found: Verification =
    fault === null
      ? await verifyWithKey(text, { ...ports, policy })
      : { result: refuse('ERR_TOKEN_MALFORMED', notToken(fault).message), kid: null, passed: [] };
  const { result } = found;
  const decoded = decodeToken(text);
  const claims = typeof decoded === 'string' ? null : decoded.payload;
  const shown =
    result.active && claims !== null ? { ...result, payload: withDigits(result.payload, claims) } : result;
  return {
    view: verification({ ...found, result: shown, claims, requiresUser }, ports.now()),
    exitCode: result.active ? EXIT.done : EXIT.refused,
  };
};
