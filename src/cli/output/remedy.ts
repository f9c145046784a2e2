import { ERROR_CODES, type ErrorCode } from '../../domain/shared/error-catalog/index.js';
import { flagArgument } from '../../domain/shared/text.js';

/** Returns what to do about an error. Its commands have the known values in place of `SUB` and `JTI`. */
export function remedyOf(code: ErrorCode, { sub, jti }: { sub?: unknown; jti?: unknown } = {}): string {
  const known: Readonly<Record<string, unknown>> = { sub, jti };
  return ERROR_CODES[code].remedy.replace(/--(sub|jti) (?:SUB|JTI)\b/g, (unfilled, name: string) => {
    const value = known[name];
    return typeof value === 'string' && value !== '' ? flagArgument(name, value) : unfilled;
  });
}
