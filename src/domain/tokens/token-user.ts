import type { User, UserDirectory } from '../ports/index.js';
import { JwtctlError } from '../shared/errors.js';

/** @throws JwtctlError `ERR_USER_UNKNOWN`, `ERR_USER_DISABLED`, or why the directory has no such user */
export function requireEnabled(user: User | undefined, sub: string, users: UserDirectory): User {
  if (user === undefined) {
    throw (
      users.missing?.(sub) ?? new JwtctlError('ERR_USER_UNKNOWN', `There is no user ${JSON.stringify(sub)}.`)
    );
  }
  if (user.status === 'enabled') return user;
  throw new JwtctlError('ERR_USER_DISABLED', `The user ${JSON.stringify(sub)} is disabled.`);
}

/** Returns the claims from `users.claims`. @throws JwtctlError why they cannot be used */
export function claimsOf({ claims }: User): Readonly<Record<string, unknown>> | undefined {
  if (claims instanceof JwtctlError) throw claims;
  return claims;
}
