import type { ErrorEntry } from './entry.js';

export const PROGRAM_ERRORS = {
  ERR_BUG: {
    kind: 'bug',
    meaning: 'jwtctl has a defect.',
    remedy: 'Report it with the command that you ran. Leave out tokens, keys, and passwords.',
  },
  ERR_CANNOT_LISTEN: {
    kind: 'usage',
    meaning: 'The server cannot listen on this address and port.',
    remedy: 'Pass an address of this host with `--host`, and a port that this account may use with `--port`.',
  },
  ERR_CLIENT_UNAUTHENTICATED: {
    kind: 'refused',
    meaning: 'A client of the HTTP API did not authenticate, or its secret is wrong.',
    remedy: "Check the client's ID and secret against the settings of the server.",
  },
  ERR_CLOSED: {
    kind: 'state',
    meaning: 'The verifier, the issuer, or a connection was used after it was closed.',
    remedy: 'Open another one, or close it only after the last call.',
  },
  ERR_CONFIRMATION_NEEDED: {
    kind: 'usage',
    meaning: 'The command needs a confirmation, but there is no terminal to ask for it.',
    remedy: 'Pass `--yes` to confirm it, or `--dry-run` to see what it would do.',
  },
  ERR_DURATION_INVALID: {
    kind: 'usage',
    meaning: 'The text is not a duration.',
    remedy: 'Write a number of seconds, or a duration such as `90s`, `15m`, `12h`, `30d`, or `1h30m`.',
  },
  ERR_FLAG_COMBINATION: {
    kind: 'usage',
    meaning: 'Some flags cannot be used together, or a required flag is missing.',
    remedy: 'Change the flags as the message says. `--help` describes them.',
  },
  ERR_FLAG_INVALID: {
    kind: 'usage',
    meaning: 'A flag has an invalid value.',
    remedy: 'Pass a value of the form that the message names.',
  },
  ERR_FLAG_REPEATED: {
    kind: 'usage',
    meaning: 'A flag that can be given once is given twice.',
    remedy: 'Remove one of the two, or run the command once for each value.',
  },
  ERR_INTERRUPTED: {
    kind: 'interrupted',
    meaning: 'A signal or Ctrl-C stopped the command before it was done.',
    remedy: 'Run the same command again to continue.',
  },
  ERR_NOT_CONFIRMED: {
    kind: 'interrupted',
    meaning: 'The prompt was answered with no or canceled, so nothing was done.',
    remedy: 'To confirm it after all, run the command again.',
  },
  ERR_NO_ROUTE: {
    kind: 'not_found',
    meaning: 'The server has no endpoint with this method and path.',
    remedy: 'Check the method and the path of the request.',
  },
  ERR_OUTPUT_UNWRITABLE: {
    kind: 'partial',
    meaning: 'The command did its work, but the result could not be written to standard output.',
    remedy: 'Check that the disk has room. Do not repeat a command that makes changes.',
  },
  ERR_PORT_IN_USE: {
    kind: 'state',
    meaning: 'Another program already listens on this port.',
    remedy: 'Pass another port with `--port`, or stop the other program.',
  },
  ERR_TERMINAL_NEEDED: {
    kind: 'usage',
    meaning: 'The command needs a terminal, but standard output is not a terminal.',
    remedy: 'Run the command in a terminal, or pass `-o ndjson`.',
  },
  ERR_TOO_MANY_ATTEMPTS: {
    kind: 'refused',
    meaning: 'A client failed to authenticate too often, so its address must wait.',
    remedy: 'Wait for the time in the `Retry-After` header, then send the right secret.',
  },
  ERR_USAGE: {
    kind: 'usage',
    meaning: 'The command line has an unknown or missing command, flag, or argument.',
    remedy: 'Run the command with `--help` to see its arguments and flags.',
  },
} as const satisfies Record<string, ErrorEntry>;
