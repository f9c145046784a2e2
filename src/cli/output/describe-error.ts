import { JwtctlError } from '../../domain/shared/errors.js';
import { printableJson, printableLines } from '../../domain/shared/text.js';
import type { CompleteCommands } from '../given-flags.js';
import { remedyOf } from './remedy.js';
import type { OutputFormat } from './render.js';

/** @param diagnostics lines for the JSON document */
export function describeError(
  error: unknown,
  format: OutputFormat,
  {
    isVerbose = false,
    diagnostics = [] as readonly string[],
    complete = ((text) => text) as CompleteCommands,
  } = {},
): string {
  const shown = error instanceof JwtctlError ? error : bug(error);
  const hint = hintOf(shown, complete);
  const causes = isVerbose ? causesOf(shown) : [];
  if (format === 'json' || format === 'ndjson') {
    const { code, details } = shown;
    const message = complete(shown.message);
    const extra = Object.keys(details).length === 0 ? {} : { details };
    const error = { code, message, ...(hint === undefined ? {} : { hint }), ...extra };
    const lines = [...diagnostics, ...causes];
    const document = { error, ...(lines.length === 0 ? {} : { diagnostics: lines }) };
    return `${printableJson(JSON.stringify(document))}\n`;
  }
  const below = [...(hint === undefined ? [] : [hint]), ...causes].map((line) => `  ${line}\n`);
  return printableLines(`jwtctl: ${complete(shown.message)}\n${below.join('')}`);
}

function hintOf({ code, kind, hint, details }: JwtctlError, complete: CompleteCommands): string | undefined {
  const shown = hint ?? (kind === 'interrupted' ? undefined : remedyOf(code, details));
  return shown === undefined ? undefined : complete(shown);
}

export function describeLines(first: number, last: number, error: JwtctlError, format: OutputFormat): string {
  const { code, message } = error;
  if (format === 'json' || format === 'ndjson') {
    const lines = first === last ? { line: first } : { line: first, lastLine: last };
    return `${printableJson(JSON.stringify({ ...lines, error: { code, message } }))}\n`;
  }
  const where = first === last ? `Line ${first}` : `Lines ${first} to ${last}`;
  return `${where}: ${printableLines(message)}\n`;
}

/** Names the causes of an error. Omits their messages, because a driver may quote values in them. */
function causesOf(error: JwtctlError): string[] {
  const causes: string[] = [];
  for (let { cause } = error as Error; cause instanceof Error; cause = cause.cause)
    causes.push(`caused by ${cause.name}${'code' in cause ? ` (${String(cause.code)})` : ''}`);
  return causes;
}

/** Shows the stack, but not the message: an unknown error's message may contain a user's values. */
function bug(error: unknown): JwtctlError {
  const name = error instanceof Error ? error.name : typeof error;
  const frames =
    error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  const where = frames.slice(0, 8).map((line) => line.trim());
  return new JwtctlError('ERR_BUG', `This is a bug in jwtctl (${name}).\n  ${where.join('\n  ')}`, {
    cause: error,
  });
}
