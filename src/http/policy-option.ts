import { JwtctlError } from '../domain/shared/errors.js';
import {
  PolicyProblem,
  type RequestPolicy,
  type RequestPolicyInput,
  readRequestPolicy,
} from '../domain/verification/request-policy.js';

/**
 * Reads the option `policy`. An option without a value is an error, because its author meant to restrict something.
 * @throws JwtctlError `ERR_OPTION_INVALID` (usage)
 */
export function policyOf(options: { policy?: RequestPolicyInput }): RequestPolicy | null {
  if (!('policy' in options)) return null;
  try {
    return readRequestPolicy(options.policy, 'policy');
  } catch (error) {
    if (!(error instanceof PolicyProblem)) throw error;
    throw new JwtctlError('ERR_OPTION_INVALID', `The option ${error.message}.`);
  }
}
