import { JwtctlError } from '../shared/errors.js';
import { pluralize } from '../shared/pluralize.js';

/** Migrations by name, in order. */
export interface SchemaStatus {
  engine: 'mysql' | 'sqlite';
  applied: string[];
  /** Applied by the next `jwtctl db migrate`. */
  pending: string[];
  /** Applied by a newer version of jwtctl. */
  unknown: string[];
}

/** @throws JwtctlError `ERR_SCHEMA_NEWER`, `ERR_SCHEMA_OUTDATED` (state) */
export function assertCurrent({ applied, pending, unknown }: SchemaStatus): void {
  if (unknown.length > 0) throw newerSchema(unknown);
  if (pending.length === 0) return;
  const what =
    applied.length === 0
      ? 'has no tables of jwtctl yet'
      : `needs ${pluralize(pending.length, 'migration')}: ${pending.join(', ')}`;
  throw new JwtctlError('ERR_SCHEMA_OUTDATED', `The database ${what}.`, {
    hint: 'Run `jwtctl db migrate`.',
  });
}

export function newerSchema(unknown: readonly string[]): JwtctlError {
  return new JwtctlError(
    'ERR_SCHEMA_NEWER',
    `The database was migrated by a newer version of jwtctl: ${unknown.join(', ')}.`,
    { hint: 'Update jwtctl on this host.', details: { unknown: [...unknown] } },
  );
}
