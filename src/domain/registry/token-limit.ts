import type { Registration } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';
import { flagArgument } from '../shared/text.js';

/** The reason why a registration with `onLimit: 'refuse'` was refused. */
export function tokenLimit(sub: string, registration?: Pick<Registration, 'maxPerSubject'>): JwtctlError {
  const most = registration?.maxPerSubject;
  return new JwtctlError(
    'ERR_TOKEN_LIMIT',
    `The subject ${JSON.stringify(sub)} already has the largest number of live tokens and sessions that is allowed (${most}).`,
    {
      hint: `\`jwtctl token list ${flagArgument('sub', sub)}\` lists them. End one with \`jwtctl token revoke\`, or raise \`registry.maxPerSubject\`.`,
    },
  );
}
