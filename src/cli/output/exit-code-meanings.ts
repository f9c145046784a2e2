/** Exit code, kinds of errors, and meaning, for the help and the documentation. */
export const EXIT_CODE_MEANINGS: ReadonlyArray<readonly [code: number, kinds: string, meaning: string]> = [
  [0, '', 'done; also "nothing to do", "not due", and "another run just did it"'],
  [1, 'refused', 'a token or a client was refused, or a check found an error'],
  [2, 'usage', 'wrong usage or configuration, or a confirmation is needed and there is no terminal'],
  [
    3,
    'not_found, state',
    'not found, or the current state does not allow the operation: no store yet, schema not migrated, no active key, unknown user',
  ],
  [4, 'unavailable', 'a store cannot be reached, refuses the login, or is failing over: try again'],
  [5, 'partial', 'done in part: something could not be read or reached'],
  [70, 'bug', 'a bug in jwtctl'],
  [130, 'interrupted', 'interrupted, or not confirmed'],
];
