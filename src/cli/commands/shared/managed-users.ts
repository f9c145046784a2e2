import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';

/** @throws JwtctlError `ERR_USERS_NOT_MANAGED` (state) if `users.source` is off */
export function assertHasUsers(context: Context): void {
  if (context.settings.users.source === 'off') assertManaged(context);
}

/** @throws JwtctlError `ERR_USERS_NOT_MANAGED` (state) unless `users.source` is managed */
export function assertManaged({ settings }: Context): void {
  const { source, table } = settings.users;
  if (source === 'managed') return;
  const reason = source === 'off' ? 'users.source is off' : `they are in your table ${table}`;
  throw new JwtctlError('ERR_USERS_NOT_MANAGED', `Users cannot be changed here: ${reason}.`, {
    hint:
      source === 'off'
        ? 'To end tokens, run `jwtctl token revoke`.'
        : 'Change the row in the table. Verifiers see the change within users.statusTtl. To end tokens immediately, run `jwtctl token revoke`.',
  });
}
