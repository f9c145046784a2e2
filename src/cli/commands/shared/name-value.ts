import { splitPair, type TokenMeta } from '../../../domain/model/token-meta.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';

/** Parses the values of a flag that is repeated with `name=value`. */
export function parseNameValues(flag: string, values: readonly string[]): TokenMeta {
  const pairs = new Map<string, string>();
  for (const text of values) {
    const pair = splitPair(text);
    if (pair === null) {
      throw new JwtctlError(
        'ERR_FLAG_INVALID',
        `${flag} ${excerpt(text)} does not have the form name=value.`,
        {
          hint: `For example: ${flag} device=iPhone`,
        },
      );
    }
    const [name, value] = pair;
    if (pairs.has(name)) {
      throw new JwtctlError('ERR_FLAG_INVALID', `${flag} ${excerpt(name)} is given twice.`, {
        hint: 'Pass each name once.',
      });
    }
    pairs.set(name, value);
  }
  return Object.fromEntries(pairs);
}
