import { bug, interrupted, notFound, partial, refused, state, usage } from './entry.js';

export const PROGRAM_ERRORS = {
  ERR_BUG: bug(
    'This is a bug in jwtctl.',
    'Report it with the command that you ran. Leave out tokens, keys, and passwords.',
  ),
  ERR_CANNOT_LISTEN: usage(
    'The server cannot listen on this address and port.',
    'Set `--host` to an address on this host, and `--port` to a port that this account can use.',
  ),
  ERR_DASHBOARD_FULL: refused(
    'The dashboard has as many viewers as one process of the server allows (20).',
    'Close other windows that show the dashboard.',
  ),
  ERR_CLIENT_FORBIDDEN: refused(
    'A client of the HTTP API lacks the right that the request needs, or is not allowed to use the audience.',
    "In `serve.clients`, add the right to the client's `may`, or the audience to the client's `audiences`.",
  ),
  ERR_CLIENT_MISMATCH: refused(
    'The token was issued to a different client of the HTTP API than the one that tried to revoke it.',
    'Revoke it with the client that it was issued to, or by ID with a client that has no `audiences`.',
  ),
  ERR_CLIENT_UNAUTHENTICATED: refused(
    'A client of the HTTP API did not authenticate, or its secret is wrong.',
    "Check the client's ID and secret against the settings of the server.",
  ),
  ERR_CLOSED: state(
    'The verifier, the issuer, or a connection was used after it was closed.',
    'Open another one, or close it only after the last call.',
  ),
  ERR_CONFIRMATION_NEEDED: usage(
    'The command needs a confirmation, but there is no terminal to ask for it.',
    'Pass `--yes` to confirm it, or `--dry-run` to see what it would do.',
  ),
  ERR_DURATION_INVALID: usage(
    'The text is not a duration.',
    'Write a number of seconds, or a duration such as `90s`, `15m`, `12h`, `30d`, or `1h30m`.',
  ),
  ERR_FLAG_COMBINATION: usage(
    'Some flags cannot be used together, or a required flag is missing.',
    'Change the flags as the message says. `--help` describes them.',
  ),
  ERR_FLAG_INVALID: usage('A flag has an invalid value.', 'Pass a value of the form that the message names.'),
  ERR_FLAG_REPEATED: usage(
    'A flag that can be given only once is given twice.',
    'Remove one of the two, or run the command once for each value.',
  ),
  ERR_GRANT_TYPE_UNSUPPORTED: usage(
    '`POST /token` got another `grant_type` than `refresh_token`.',
    'Send `grant_type=refresh_token`. To log a user in, use `POST /v1/tokens`.',
  ),
  ERR_HTTP_UNREADABLE: refused(
    'An HTTP request could not be read: it is not HTTP/1.1, is too slow, or has headers of more than 16 KB.',
    'Look for a client that sends large cookies or a large token. `docs/server.md` lists the limits.',
  ),
  ERR_INTERRUPTED: interrupted(
    'A signal or Ctrl-C stopped the command before it was done.',
    'Run the same command again to continue.',
  ),
  ERR_NOT_CONFIRMED: interrupted(
    'The prompt was answered with no or canceled, so nothing was done.',
    'If you want to go ahead, run the command again and confirm.',
  ),
  ERR_NO_ROUTE: notFound(
    'The server has no endpoint with this method and path.',
    'Check the method and the path of the request.',
  ),
  ERR_OUTPUT_UNWRITABLE: partial(
    'The command did its work, but the result could not be written to standard output.',
    'Check that the disk has room. Do not repeat a command that makes changes: the changes are already made.',
  ),
  ERR_PORT_IN_USE: state(
    'Another program already listens on this port.',
    'Pass another port with `--port`, or stop the other program.',
  ),
  ERR_REQUEST_INVALID: usage(
    'The path, the query, or the body of an HTTP request is invalid.',
    'Correct the request as the message says. If the error has a `field`, it names the invalid part.',
  ),
  ERR_TERMINAL_NEEDED: usage(
    'The command needs a terminal, but standard output is not a terminal.',
    'Run the command in a terminal, or pass `-o ndjson`.',
  ),
  ERR_TOO_MANY_ATTEMPTS: refused(
    'Too many authentication attempts from this address failed, so the address is blocked for a while.',
    'Wait as long as the `Retry-After` header says, then send the correct secret.',
  ),
  ERR_USAGE: usage(
    'The command line has an unknown or missing command, flag, or argument.',
    'Run the command with `--help` to see its arguments and flags.',
  ),
};
