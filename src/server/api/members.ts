import { parseDuration } from '../../domain/shared/duration.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { invalidRequest } from './failures.js';

/** Parses a member of a body. An error names the member. */
export function parsed<T>(member: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof JwtctlError)) throw error;
    throw invalidRequest(member, error.message);
  }
}

export function secondsOf(value: number | string | undefined, member: string): number | undefined {
  return value === undefined ? undefined : parsed(member, () => parseDuration(value));
}
