import { parseJsonObject } from '../../../domain/jose/jws.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { assertExactNumbers } from '../../../domain/shared/json-numbers.js';
import { excerpt, fileNameShown, insideQuotes } from '../../../domain/shared/text.js';
import type { Invocation } from '../../invocation.js';

/** Merges `--claims` and `--claim`. The latter takes precedence. */
export async function parseClaims(
  invocation: Invocation,
  flags: { claim?: string[]; claims?: string },
): Promise<Record<string, unknown>> {
  const claims = flags.claims === undefined ? {} : await readClaims(invocation, flags.claims);
  for (const text of flags.claim ?? []) {
    const [name, value] = claimOf(text, invocation.caution);
    Object.defineProperty(claims, name, { value, enumerable: true, configurable: true });
  }
  return claims;
}

async function readClaims(invocation: Invocation, file: string): Promise<Record<string, unknown>> {
  if (/^\s*[{[]/.test(file)) throw inPlaceOfFile(file);
  const text = await invocation.readFile(file);
  const claims = parseJsonObject(Buffer.from(text));
  const name = file === '-' ? 'standard input' : fileNameShown(file);
  if (claims === null) {
    throw new JwtctlError('ERR_CLAIMS_FILE_INVALID', `The claims in ${name} are not a JSON object.`);
  }
  assertExactNumbers(text, `The JSON in ${name}`);
  return claims;
}

function inPlaceOfFile(json: string): JwtctlError {
  const claims = Object.entries(parseJsonObject(Buffer.from(json)) ?? {});
  // A part of the claims, when copied, would issue another token.
  const areWhole =
    claims.length <= 3 && claims.every(([name, value]) => isWhole(name, JSON.stringify(value)));
  const flags = areWhole ? claims.map(([name, value]) => spelled(name, JSON.stringify(value))) : [];
  const meant = flags.length === 0 ? '' : `Did you mean ${flags.join(' ')}? `;
  return new JwtctlError('ERR_FLAG_INVALID', '--claims takes the name of a file, but the value is JSON.', {
    hint: `${meant}To read the JSON from standard input, pass --claims -.`,
  });
}

function claimOf(flag: string, caution: (text: string) => void): [name: string, value: unknown] {
  const [, name = '', text = ''] = /^([^=]+)=(.*)$/s.exec(flag) ?? [];
  if (name === '' || /^[\s"'“‘{[]|[\s"'”’]$/.test(name)) {
    throw new JwtctlError('ERR_FLAG_INVALID', 'Specify --claim as name=value.', {
      hint: 'Leave out quotes and spaces around the name. Pass a JSON object in a file with --claims, or with --claims - from standard input.',
    });
  }
  const value = parseJson(text);
  if (value !== undefined) {
    const asText = typeof value === 'number' ? (number: string) => spelled(name, `"${number}"`) : undefined;
    assertExactNumbers(text, `The claim ${excerpt(name)}`, asText);
    return [name, value];
  }
  const inner = insideQuotes(text);
  if (inner !== null || /^(?:\\?["“]|[[{])/.test(text)) throw halfJson(name, text, inner);
  const word = WORDS.get(text.toLowerCase());
  if (word !== undefined)
    caution(
      `The claim ${excerpt(name)} is the text "${text}". For the JSON value, write ${spelled(name, word)}.`,
    );
  return [name, text];
}

/** Names in other languages for the values that JSON calls `true`, `false`, and `null`. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ['true', 'true'],
  ['false', 'false'],
  ['null', 'null'],
  ['none', 'null'],
  ['nil', 'null'],
  ['undefined', 'null'],
]);

function halfJson(name: string, text: string, inner: string | null): JwtctlError {
  const problem =
    inner === null
      ? 'begins like JSON, but is not JSON'
      : 'has quotes around it, which are part of the value';
  const json = inner ?? likelyJson(text);
  const meant = json === null || !isWhole(name, json) ? '' : `Did you mean ${spelled(name, json)}? `;
  const asText = JSON.stringify(text);
  const literal = isWhole(name, asText)
    ? `To use the value as text, write ${spelled(name, asText)}.`
    : 'To use a long value, pass a JSON object in a file with --claims.';
  return new JwtctlError('ERR_FLAG_INVALID', `The value of the claim ${excerpt(name)} ${problem}.`, {
    hint: `${meant}${literal}`,
  });
}

/** Quotes the bare words of `[admin,user]` and `{'role': admin}`. Returns null if that makes no JSON. */
function likelyJson(text: string): string | null {
  const json = text.replace(
    /"[^"]*"|'([^']*)'|[^\s[\]{}:,"'](?:[^[\]{}:,"']*[^\s[\]{}:,"'])?/g,
    (word: string, quoted?: string) => {
      if (quoted !== undefined) return JSON.stringify(quoted);
      return WORDS.get(word.toLowerCase()) ?? (parseJson(word) === undefined ? JSON.stringify(word) : word);
    },
  );
  return parseJson(json) === undefined ? null : json;
}

/** Whether {@link spelled} shows all of the claim. */
function isWhole(name: string, value: string): boolean {
  return excerpt(`${name}=${value}`) === `${name}=${value}`;
}

/** Writes the flag for a shell. */
function spelled(name: string, value: string): string {
  const claim = excerpt(`${name}=${value}`);
  return /^[\w.=@/-]+$/.test(claim) ? `--claim ${claim}` : `--claim '${claim.replaceAll("'", `'\\''`)}'`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
