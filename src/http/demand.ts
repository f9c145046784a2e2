import { JwtctlError } from '../domain/shared/errors.js';
import {
  PolicyProblem,
  type RequestPolicyInput,
  readRequestPolicy,
} from '../domain/verification/request-policy.js';
import type { Demand } from './authenticate-request.js';

const CLOCK_TOLERANCE_SECONDS = 5;

/**
 * Reads the option `policy`. If it is there without a value, it was meant to demand something.
 * @throws JwtctlError `ERR_OPTION_INVALID` (usage)
 */
export function demandOf(options: { policy?: RequestPolicyInput }): Demand | null {
  if (!('policy' in options)) return null;
  const { policy } = options;
  try {
    return {
      policy: readRequestPolicy(policy, 'policy'),
      now: () => Math.floor(Date.now() / 1000),
      clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
    };
  } catch (error) {
    if (!(error instanceof PolicyProblem)) throw error;
    throw new JwtctlError('ERR_OPTION_INVALID', `The option ${error.message}.`);
  }
}
