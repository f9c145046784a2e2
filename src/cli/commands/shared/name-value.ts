import { readPairs, type TokenMeta } from '../../../domain/model/token-meta.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';

/** Parses the values of a flag that is repeated with `name=value`. */
export function parseNameValues(flag: string, values: readonly string[]): TokenMeta {
  const refused = (fault: string, hint: string) =>
    new JwtctlError('ERR_FLAG_INVALID', `${flag} ${fault}.`, { hint });
  return readPairs(values, {
    form: (text) => {
      throw refused(
        `${excerpt(text)} does not have the form name=value`,
        `For example: ${flag} device=iPhone`,
      );
    },
    repetition: (name) => {
      throw refused(`${excerpt(name)} is given twice`, 'Pass each name once.');
    },
  });
}
