import { typeName } from '../domain/shared/describe-value.js';
import { excerpt } from '../domain/shared/text.js';
import { parseStructure, StructureProblem } from './structure-problem.js';

/** Names of headers, and the claims whose values they have. */
export type ClaimHeaders = Readonly<Record<string, string>>;

/**
 * Other names have a meaning for the proxy or for HTTP itself. nginx drops names with `_` or `.`, which applications
 * cannot tell from `-`.
 */
const NAME = /^(?:X|Remote)-(?!Accel-)[A-Za-z0-9-]{1,60}$/i;

/** These have their own values. */
const TAKEN = new Set(['x-auth-subject', 'x-auth-jti', 'x-request-id']);

/**
 * @param raw a map from headers to claims, or JSON text of one
 * @throws StructureProblem naming the header
 */
export function readHeaders(raw: unknown): ClaimHeaders {
  const map = typeof raw === 'string' ? parseStructure(raw, 'a map such as {"X-User-Roles":"roles"}') : raw;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new StructureProblem(`is ${typeName(map)}; expected a map of headers to claims`);
  const names = new Set<string>();
  for (const [name, claim] of Object.entries(map)) {
    const shown = excerpt(JSON.stringify(name));
    if (!NAME.test(name))
      throw new StructureProblem(
        `has the header ${shown}; expected a name that begins with X- or Remote-, of A-Z a-z 0-9 -, such as X-User-Roles`,
      );
    if (TAKEN.has(name.toLowerCase()))
      throw new StructureProblem(`has the header ${shown}, which jwtctl itself sets; expected another name`);
    if (names.has(name.toLowerCase()))
      throw new StructureProblem(`has the header ${shown} twice; header names are case-insensitive`);
    if (typeof claim !== 'string' || claim === '')
      throw new StructureProblem(`.${name} is ${typeName(claim)}; expected the name of a claim`);
    names.add(name.toLowerCase());
  }
  return { ...map };
}
