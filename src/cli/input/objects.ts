import type { Line } from '../../domain/batch/line-batches.js';
import { typeName } from '../../domain/shared/describe-value.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { assertExactNumbers } from '../../domain/shared/json-numbers.js';

/** Parses lines of NDJSON. */
export async function* readObjects(
  lines: AsyncIterable<ReadonlyArray<Line<string>>>,
): AsyncGenerator<Array<Line<Record<string, unknown>>>> {
  for await (const some of lines) yield some.map(parseObject);
}

function parseObject(line: Line<string>): Line<Record<string, unknown>> {
  if ('error' in line) return line;
  const { number } = line;
  let value: unknown;
  try {
    value = JSON.parse(line.value);
  } catch {
    return { number, error: noObject('not JSON') };
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject) return { number, error: noObject(typeName(value)) };
  try {
    assertExactNumbers(line.value, 'The line');
  } catch (error) {
    return { number, error: error as JwtctlError };
  }
  return { number, value: value as Record<string, unknown> };
}

/** The value is not shown, because it may be a token. */
function noObject(found: string): JwtctlError {
  return new JwtctlError('ERR_LINE_NOT_JSON', `The line is ${found}; expected a JSON object.`);
}
