import { parseCompactJws, parseJsonObject } from '../../../domain/jose/jws.js';
import { insideQuotes } from '../../../domain/shared/text.js';

export interface PastedToken {
  /** The text itself if `fault` is set. */
  token: string;
  /** What was around the token or in it: `quotes`. */
  removed: readonly string[];
  /** Why the text is not one token: `it is an encrypted token (JWE)`. Shows nothing of the text. */
  fault: string | null;
}

/** Finds the token in a text that a person copied. Takes it only if no other reading is possible. */
export function pastedToken(text: string): PastedToken {
  if (isJws(text) || text.length > MAX_CHARACTERS) return { token: text, removed: [], fault: null };
  const faulty = (fault: string): PastedToken => ({ token: text, removed: [], fault });
  const shape = certainFault(text.trim());
  if (shape !== null) return faulty(shape);
  const bare = withoutWrapping(text);
  if (bare !== null) return bare;
  const member = tokenMember(text);
  if (member !== null) {
    const inner = pastedToken(member.value);
    return { ...inner, removed: [`the JSON around its member ${member.name}`, ...inner.removed] };
  }
  const found = tokensAmong(text);
  if (found.length > 1) return faulty('it is text with more than one token');
  const [only] = found;
  if (only === undefined) return faulty(likelyFault(text.trim()));
  if (only.isBroken) return faulty('it is text with a token that is broken over several lines');
  return { token: only.token, removed: ['the text around it'], fault: null };
}

/** Longer text is not searched. */
const MAX_CHARACTERS = 65_536;

/** Returns the string member `token` or `access_token` of a JSON object. */
export function tokenMember(text: string): { name: string; value: string } | null {
  const object = objectOf(text);
  for (const name of ['token', 'access_token']) {
    const value = object?.[name];
    if (typeof value === 'string') return { name, value };
  }
  return null;
}

function objectOf(text: string): Record<string, unknown> | null {
  // A mail client may have broken a string over two lines.
  return parseJsonObject(Buffer.from(text.trim())) ?? parseJsonObject(Buffer.from(text.replace(/\s+/g, '')));
}

/** More wrappings are no accident of copying. */
const MOST_ROUNDS = 10;

/** What remains in each step, until a step changes nothing. */
const WRAPPINGS: ReadonlyArray<{ name: string; unwrap(text: string): string }> = [
  { name: 'white space', unwrap: (text) => text.trim() },
  { name: 'quotes', unwrap: (text) => insideQuotes(text) ?? text },
  {
    name: 'the words before it',
    unwrap: (text) =>
      text.replace(
        /^(?:authorization\s*[:=]\s*)?(?:bearer|jwt|token)(?:\s*[:=]\s*|\s+|(?=eyJ))|^authorization\s*[:=]\s*/i,
        '',
      ),
  },
  { name: 'punctuation', unwrap: (text) => text.replace(/[,;]$/, '') },
];

/** Returns the token if the text is nothing else; null if more than its usual wrappings would have to go. */
function withoutWrapping(text: string): PastedToken | null {
  const removed = new Set<string>();
  const apply = (name: string, before: string, after: string) => {
    if (after !== before) removed.add(name);
    return after;
  };
  let token = text;
  for (let [round, before] = [0, '']; before !== token && round < MOST_ROUNDS; round += 1) {
    before = token;
    for (const { name, unwrap } of WRAPPINGS) token = apply(name, token, unwrap(token));
  }
  // A line break of a shell has a backslash, and that of a mail that was answered `>`.
  token = apply(
    'white space',
    token,
    token.replace(/^>\s*|\\?[\r\n]+[>\s]*|[\s\u00ad\u200b\u2060\ufeff]+/g, ''),
  );
  token = apply('padding', token, withoutPadding(token));
  return isJws(token) ? { token, removed: [...removed], fault: null } : null;
}

/** Finds the different tokens in a URL, a cookie, a command, or a sentence. */
function tokensAmong(text: string): Array<{ token: string; isBroken: boolean }> {
  const found = new Map<string, boolean>();
  const plain = decoded(text);
  for (const { 0: word, index } of plain.matchAll(/[\w.-]+/g)) {
    const token = isJws(word) ? word : word.replace(/\.$/, '');
    if (!isJws(token)) continue;
    const isBroken = goesOn(plain, index + word.length);
    found.set(token, found.get(token) === true || isBroken);
  }
  return [...found].map(([token, isBroken]) => ({ token, isBroken }));
}

/** Whether the next line goes on with what may be the rest of a token. */
function goesOn(text: string, from: number): boolean {
  const between = /[>\s]*/y;
  between.lastIndex = from;
  const [gap = ''] = between.exec(text) ?? [];
  const [firstLine = ''] = gap.split('\n', 1);
  const rest = /[\w-]{8}/y;
  rest.lastIndex = from + gap.length;
  return gap.includes('\n') && !firstLine.includes('>') && rest.test(text);
}

function decoded(text: string): string {
  try {
    return withoutPadding(decodeURIComponent(text));
  } catch {
    return text;
  }
}

/** Removes the padding of base64 where a part or the token ends. */
function withoutPadding(text: string): string {
  return text.replace(/(?:=|%3D)+/gi, (padding, offset: number) =>
    /^[.\s"'&;,]?$/.test(text.charAt(offset + padding.length)) ? '' : padding,
  );
}

/** Names what would otherwise be taken for a token, or for text around one. */
function certainFault(text: string): string | null {
  if (text === '') return 'it is empty';
  if (/[\w-](?:…|\.{3})|(?:…|\.{3})[\w-]/.test(text))
    return 'it is shortened: an ellipsis replaces a part of it';
  if (/^(?:authorization\s*[:=]\s*)?basic\s/i.test(text))
    return 'it is a user name and a password (Basic), not a token';
  if (/^[\w-]+\.[\w-]+\.[\w-]*~/.test(text)) return 'it is a token with disclosures (SD-JWT)';
  if (/^v\d\.(?:local|public)\./.test(text)) return 'it is a PASETO';
  if (/^(?=.*[+/])(?:[\w+/=-]+\.){2}[\w+/=-]+$/.test(text)) return 'it is base64 instead of base64url';
  if (text.includes('-----BEGIN ')) return 'it is a PEM file, such as a key or a certificate';
  if (/^\$\{?\w+\}?$|^%\w+%$/.test(text))
    return 'it is the name of a variable that the shell did not replace';
  if (/^(?:\w+\s+)?(?:<[^<>]*>|\{\{[^{}]*\}\})$/.test(text)) return 'it is a placeholder';
  return null;
}

function likelyFault(text: string): string {
  const object = objectOf(text);
  if (object !== null) {
    if ('signature' in object || 'signatures' in object) return 'it is a JWS in JSON Serialization';
    if ('kty' in object || 'keys' in object) return 'it is a key (JWK)';
    if ('sub' in object || 'exp' in object || 'alg' in object) return 'it is a token that is already decoded';
    return 'it is a JSON object without a member token or access_token';
  }
  const words = decoded(text).match(/[\w.-]+/g) ?? [];
  const parts = words.map((word) => word.split('.'));
  if (parts.some((some) => some.length === 5 && hasMember(some[0], 'enc')))
    return 'it is an encrypted token (JWE), which only its recipient can read';
  if (parts.some((some) => some.length === 2 && hasMember(some[0], 'alg')))
    return 'it is cut off: its signature is missing';
  if (parts.some((some) => some.length === 1 && hasMember(some[0], 'alg')))
    return 'it is cut off: only its JOSE Header is there';
  const refusal = REDIS_ERROR.exec(text)?.[1];
  if (refusal !== undefined) return `it looks like an error message from redis-cli (${refusal})`;
  if (/\.(?:txt|jwt|token|json)$/i.test(text)) return 'it is the name of a file, which needs an @ before it';
  if (/^(?:bearer\s+)?[\w+/=-]{8,}$/i.test(text))
    return 'it is an opaque token, which only its issuer can read';
  const reason = parseCompactJws(text);
  return typeof reason === 'string' ? reason : 'it is another kind of text';
}

/** What redis-cli prints into a file instead of a value. */
export const REDIS_ERROR =
  /^(?:\(error\) )?(ERR|WRONGTYPE|NOAUTH|NOPERM|WRONGPASS|MOVED|ASK|CLUSTERDOWN|LOADING|MASTERDOWN)(?: |$)/;

function hasMember(part: string | undefined, name: string): boolean {
  const header = parseJsonObject(Buffer.from(part ?? '', 'base64url'));
  return header !== null && name in header;
}

function isJws(text: string): boolean {
  return typeof parseCompactJws(text) === 'object';
}
