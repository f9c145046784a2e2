import { ERROR_CODES } from '../../domain/shared/error-codes/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { printableJson, printableLines } from '../../domain/shared/text.js';
import type { OutputFormat } from './render.js';

/** An error as stderr shows it: one JSON document, or a line and its hint. Never a stack trace, unless it is a bug. */
export function describeError(error: unknown, format: OutputFormat): string {
  const shown = error instanceof JwtctlError ? error : bug(error);
  const hint = hintOf(shown);
  if (format === 'json' || format === 'ndjson') {
    const { code, message, details } = shown;
    const extra = Object.keys(details).length === 0 ? {} : { details };
    const error = { code, message, ...(hint === undefined ? {} : { hint }), ...extra };
    return `${printableJson(JSON.stringify({ error }))}\n`;
  }
  return printableLines(`jwtctl: ${shown.message}\n${hint === undefined ? '' : `  ${hint}\n`}`);
}

/** Returns the error's own hint, or the remedy that is declared for its code. Flags are named only there. */
function hintOf({ code, kind, hint }: JwtctlError): string | undefined {
  return hint ?? (kind === 'interrupted' ? undefined : ERROR_CODES[code].remedy);
}

/** Lines of an input that failed, by their numbers: one line, or one JSON object a line. */
export function describeLines(first: number, last: number, error: JwtctlError, format: OutputFormat): string {
  const { code, message } = error;
  if (format === 'json' || format === 'ndjson') {
    const lines = first === last ? { line: first } : { line: first, lastLine: last };
    return `${printableJson(JSON.stringify({ ...lines, error: { code, message } }))}\n`;
  }
  const where = first === last ? `Line ${first}` : `Lines ${first} to ${last}`;
  return `${where}: ${printableLines(message)}\n`;
}

/** For `--verbose`: what lay beneath an error, by names and codes; a driver's wording may quote what it was given. */
export function describeCauses(error: unknown): string {
  let text = '';
  for (
    let cause = error instanceof Error ? error.cause : undefined;
    cause instanceof Error;
    cause = cause.cause
  ) {
    text += `  caused by ${cause.name}${'code' in cause ? ` (${String(cause.code)})` : ''}\n`;
  }
  return text;
}

/** The stack says where, and holds no values of a user's; the message of an unknown error might. */
function bug(error: unknown): JwtctlError {
  const name = error instanceof Error ? error.name : typeof error;
  const frames =
    error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  const where = frames.slice(0, 8).map((line) => line.trim());
  return new JwtctlError('ERR_BUG', `This is a bug in jwtctl (${name}).\n  ${where.join('\n  ')}`, {
    hint: 'Please report it with the command that you ran, but without any token, key or password.',
    cause: error,
  });
}
