import type { TokenMeta } from '../../../domain/model/token-meta.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';

/** Parses the values of a flag that is repeated with `name=value`. */
export function parseNameValues(flag: string, values: readonly string[]): TokenMeta {
  const pairs = new Map<string, string>();
  for (const text of values) {
    const equals = text.indexOf('=');
    if (equals < 1) {
      throw new JwtctlError(
        'ERR_FLAG_INVALID',
        `${flag} ${excerpt(text)} does not have the form name=value.`,
        {
          hint: `For example: ${flag} device=iPhone`,
        },
      );
    }
    const name = text.slice(0, equals);
    if (pairs.has(name)) {
      throw new JwtctlError('ERR_FLAG_INVALID', `${flag} ${excerpt(name)} is given twice.`, {
        hint: 'Pass each name once.',
      });
    }
    pairs.set(name, text.slice(equals + 1));
  }
  return Object.fromEntries(pairs);
}
