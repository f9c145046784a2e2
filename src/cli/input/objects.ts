import type { Line } from '../../domain/batch/line-batches.js';
import { JwtctlError } from '../../domain/shared/errors.js';

/** Parses lines of NDJSON. */
export async function* readObjects(
  lines: AsyncIterable<ReadonlyArray<Line<string>>>,
): AsyncGenerator<Array<Line<Record<string, unknown>>>> {
  for await (const some of lines) yield some.map(parseObject);
}

function parseObject(line: Line<string>): Line<Record<string, unknown>> {
  if ('error' in line) return line;
  const value = jsonObject(line.value);
  const { number } = line;
  return value === null ? { number, error: noObject() } : { number, value };
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function noObject(): JwtctlError {
  return new JwtctlError('ERR_LINE_NOT_JSON', 'The line is not a JSON object.');
}
