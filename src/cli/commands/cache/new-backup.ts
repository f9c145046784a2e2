import type { PrivateFile } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';

/** The file that a backup is to be written into. */
export function newBackup(invocation: Invocation, name: string): PrivateFile {
  if (name !== '-') return invocation.privateFile(name);
  throw new JwtctlError('ERR_FLAG_INVALID', 'A backup is written to a file, never to standard output.', {
    hint: 'Name a file that is not there yet: what is in it is on the disk before anything is removed.',
  });
}
