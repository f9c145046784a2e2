import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';

/** @throws JwtctlError `ERR_USERS_NOT_MANAGED` (state) where the users are not jwtctl's own */
export function assertManaged({ settings }: Context): void {
  const { source, table } = settings.users;
  if (source === 'managed') return;
  const where =
    source === 'off' ? 'no users are kept (users.source is off)' : `users are kept in your table ${table}`;
  throw new JwtctlError('ERR_USERS_NOT_MANAGED', `jwtctl changes no users here: ${where}.`, {
    hint:
      source === 'off'
        ? 'To end tokens, run `jwtctl token revoke`.'
        : 'Change the row there; jwtctl sees it within `users.statusTtl`. To end tokens at once, run `jwtctl token revoke`.',
  });
}
