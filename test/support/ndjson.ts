/** Parses NDJSON: one JSON document per line. */
// biome-ignore lint/suspicious/noExplicitAny: a test states the shape that it expects
export function parseNdjson(text: string): any[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Parses the lines that have a JSON object. Skips the others, such as notes on standard error. */
export function objectsIn(text: string) {
  return parseNdjson(
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .join('\n'),
  );
}

/** Returns the number and the error code of each line that a bulk command could not process. */
export function failedLines(stderr: string): Array<[number, string]> {
  return objectsIn(stderr)
    .filter(({ line }) => line !== undefined)
    .map(({ line, error }) => [line, error.code]);
}
