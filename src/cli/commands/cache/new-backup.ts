import type { PrivateFile } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { Invocation } from '../../invocation.js';

export function newBackup(invocation: Invocation, name: string): PrivateFile {
  if (name !== '-') return invocation.privateFile(name);
  throw new JwtctlError('ERR_FLAG_INVALID', 'A backup cannot be written to standard output.', {
    hint: 'Specify a file that does not exist yet.',
  });
}
