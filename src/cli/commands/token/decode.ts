import { decodeToken } from '../../../domain/jose/jws.js';
import type { Action, DefineCommand } from '../../invocation.js';
import { decodedToken } from '../../output/views/tokens.js';
import { notToken, readToken } from '../shared/token-argument.js';

export const defineDecode: DefineCommand = (group, run) => {
  group
    .command('decode')
    .argument('<token>', 'token; - reads standard input, @file reads a file')
    .description('Show what a token contains, without verifying it.')
    .examples('jwtctl token decode -', 'jwtctl token decode @token.txt --json')
    .action(run(decode));
};

const decode: Action<object, [string]> = async (invocation, _flags, token) => {
  const decoded = decodeToken(await readToken(invocation, token));
  if (typeof decoded === 'string') throw notToken(decoded);
  // The table says so itself.
  const notes = invocation.globals.format === 'table' ? [] : ['Not verified: nothing was checked.'];
  return { view: decodedToken(decoded), notes };
};
