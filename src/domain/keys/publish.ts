import { jwkSet, type PublicJwk } from '../jose/jwk-set.js';
import type { Database, PublicFile } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

export interface PublishedSet {
  path: string;
  changed: boolean;
  keys: PublicJwk[];
}

const ATTEMPTS = 5;

/**
 * Writes the JWK Set into a file, if the file does not hold it yet.
 * @throws JwtctlError `ERR_NO_KEYS` (state), because an empty set would refuse every token, or
 * `ERR_FILE_REPLACED` (state); `ERR_FILE_UNWRITABLE` (usage)
 */
export async function publishJwkSet(
  { database, file }: { database: Pick<Database, 'keys'>; file: PublicFile },
  { dryRun }: { dryRun: boolean },
): Promise<PublishedSet> {
  let changed = false;
  for (let attempt = 1; ; attempt++) {
    const set = jwkSet((await database.keys.snapshot()).keys);
    if (set.keys.length === 0) throw new JwtctlError('ERR_NO_KEYS', 'There is no key to publish.');
    const text = `${JSON.stringify(set, null, 2)}\n`;
    const isCurrent = (await file.read()) === text;
    changed ||= !isCurrent;
    const result = { path: file.path, changed, keys: set.keys };
    // Read again after writing: a run that began earlier may have replaced a newer set, or the keys may have changed.
    if (isCurrent || dryRun) return result;
    if (attempt === ATTEMPTS)
      throw new JwtctlError(
        'ERR_FILE_REPLACED',
        `Something else replaced ${file.path} each time that jwtctl had written it.`,
      );
    await file.replace(text);
  }
}
