import { JwtctlError } from '../shared/errors.js';
import { excerpt } from '../shared/text.js';

/** Returns the scopes of a claims set: the words of `scope` (RFC 8693 §4.2), or the members of an array. */
export function scopesOf({ scope }: Record<string, unknown>): string[] {
  if (typeof scope === 'string') return scope.split(' ').filter(Boolean);
  return Array.isArray(scope) ? scope.filter((one): one is string => typeof one === 'string') : [];
}

/**
 * Returns the claims with only the wanted scopes (RFC 6749 §6), in the form that `scope` has. Without wanted scopes,
 * returns all claims.
 * @throws JwtctlError `ERR_SCOPE_INVALID` (refused) for a scope that the claims lack
 */
export function narrowScope<T extends Record<string, unknown>>(claims: T, wanted: string | undefined): T {
  if (wanted === undefined) return claims;
  const names = new Set(scopesOf({ scope: wanted }));
  const known = scopesOf(claims);
  if (names.size === 0) throw new JwtctlError('ERR_SCOPE_INVALID', 'The scope has no names.');
  const all = new Set(known);
  const excess = [...names].find((name) => !all.has(name));
  if (excess !== undefined) {
    const message = `The session does not have the scope '${excerpt(excess)}'.`;
    throw new JwtctlError('ERR_SCOPE_INVALID', message);
  }
  const kept = known.filter((name) => names.has(name));
  const scope = Array.isArray(claims.scope) ? kept : kept.join(' ');
  // A policy also reads `scp`.
  return { ...claims, scope, ...(Object.hasOwn(claims, 'scp') && { scp: undefined }) };
}
