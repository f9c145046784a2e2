import { typeName } from '../domain/shared/describe-value.js';
import { excerpt } from '../domain/shared/text.js';
import {
  PolicyProblem,
  type RequestPolicy,
  readRequestPolicy,
} from '../domain/verification/request-policy.js';
import { parseStructure, StructureProblem } from './structure-problem.js';

export type Policies = Readonly<Record<string, RequestPolicy>>;

/**
 * @param raw a map from names to policies, or JSON text of one
 * @throws StructureProblem naming the policy and the member
 */
export function readPolicies(raw: unknown): Policies {
  const map =
    typeof raw === 'string' ? parseStructure(raw, 'a map such as {"orders":{"scope":["orders:read"]}}') : raw;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new StructureProblem(`is ${typeName(map)}; expected a map of policies`);
  const entries = Object.entries(map).map(([name, policy]) => [name, readPolicy(name, policy)] as const);
  return Object.fromEntries(entries);
}

function readPolicy(name: string, policy: unknown): RequestPolicy {
  // It is part of a URL.
  if (!/^[A-Za-z0-9][\w-]{0,63}$/.test(name)) {
    const expected = '1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit';
    throw new StructureProblem(`has a policy named ${excerpt(JSON.stringify(name))}; expected ${expected}`);
  }
  try {
    return readRequestPolicy(policy, `.${name}`);
  } catch (error) {
    if (error instanceof PolicyProblem) throw new StructureProblem(error.message);
    throw error;
  }
}
