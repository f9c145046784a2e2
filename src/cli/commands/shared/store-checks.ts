import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';

/** Fails with the reason why `db migrate` would fail, if the tables do not exist yet. */
export async function checkDatabase(context: Context): Promise<void> {
  try {
    await context.database();
  } catch (error) {
    if (error instanceof JwtctlError && error.code === 'ERR_SCHEMA_OUTDATED')
      await (await context.schema()).plan();
    throw error;
  }
}

export async function checkRegistry(context: Context): Promise<void> {
  const now = context.clock.now();
  // Any token, known or not, is asked for in the same way.
  await (await context.registry()).tokenStatus('jwtctl', { jti: 'jwtctl', keyId: 0, iat: now }, now);
}
