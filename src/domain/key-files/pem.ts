import { keyRefused } from './rsa-key.js';

export interface PemBlock {
  label: string;
  /** Null if the body is not base64. */
  der: Buffer | null;
  /** The characters that stand for its line breaks, if they cannot be read; otherwise null. */
  separator: string | null;
  /** The encryption headers of RFC 1421 (`Proc-Type`, `DEK-Info`), if any. */
  headers: string;
}

const ENCRYPTED = /Proc-Type:\s*4,\s*ENCRYPTED\s+DEK-Info:\s*([A-Za-z0-9-]+,[0-9A-Fa-f]+)/;

/**
 * Reads the blocks of a PEM file (RFC 7468) as people have them: line breaks as CR, CRLF, the characters `\n`, or spaces;
 * indentation, blank lines, and the quotes and plus signs of source code.
 */
export function readPemBlocks(text: string): PemBlock[] {
  return contentsOf(unescapeText(text)).map(({ label, content }) => {
    const cipher = ENCRYPTED.exec(content)?.[1];
    const lines = content.replace(ENCRYPTED, '').split(/[\r\n]+/);
    const body = lines.map(withoutQuotes).filter((line) => !/^[+.]*$/.test(line));
    return {
      label,
      separator: SEPARATOR.exec(content.trim())?.[1] ?? null,
      der: /^[A-Za-z0-9+/]+={0,2}$/.test(body.join('')) ? Buffer.from(body.join(''), 'base64') : null,
      headers: cipher === undefined ? '' : `Proc-Type: 4,ENCRYPTED\nDEK-Info: ${cipher}\n\n`,
    };
  });
}

/** Base64 of a key begins with MI. `/n` is base64 too, so it cannot be removed without a guess. */
const SEPARATOR = /^(\/r\/n|\/n|%0D%0A|%0A|<br ?\/?>|[|,;_^~])\s*MI/i;

/** Finds what is between a BEGIN line and the next END line with its label. */
function contentsOf(text: string): Array<{ label: string; content: string }> {
  const marks = [...text.matchAll(/-----(BEGIN|END) ([A-Z0-9 ]+)(?=-----)/g)];
  const ends = new Map<string, number[]>();
  // From the last, so that the next END of a label is at the end of its list.
  for (const { 1: kind, 2: label = '', index } of marks.toReversed()) {
    if (kind === 'BEGIN') continue;
    const known = ends.get(label) ?? [];
    ends.set(label, known);
    known.push(index);
  }
  const found: Array<{ label: string; content: string }> = [];
  let next = 0;
  for (const { 0: mark, 1: kind, 2: label = '', index } of marks) {
    const start = index + mark.length + DASHES.length;
    if (kind === 'END' || index < next) continue;
    const left = ends.get(label) ?? [];
    while ((left.at(-1) ?? start) < start) left.pop();
    const end = left.at(-1);
    if (end === undefined) continue;
    found.push({ label, content: text.slice(start, end) });
    next = end + `-----END ${label}-----`.length;
  }
  return found;
}

const DASHES = '-----';

/** The escapes of JSON and of environment files, also doubled. Base64 has no backslash. */
function unescapeText(text: string): string {
  return text
    .replace(/\\+(?:u00([0-9A-Fa-f]{2}))?/g, (found, digits?: string) =>
      digits === undefined ? found : String.fromCharCode(Number.parseInt(digits, 16)),
    )
    .replace(/\\+[nrt]?/g, (found) => (found.endsWith('\\') ? found : '\n'))
    .replace(/\\+\/?/g, (text) => (text.endsWith('\\') ? text : '/'));
}

/** Also removes white space. */
function withoutQuotes(line: string): string {
  const text = line.replace(/\s/g, '').replace(/^[+.]?["'`]/, '');
  let end = text.length;
  for (let at = end - 1; at >= 0 && AFTER_QUOTE.has(text.charAt(at)); at -= 1) {
    if (/["'`]/.test(text.charAt(at))) end = at;
  }
  return end === text.length ? text.replace(/\\$/, '') : text.slice(0, end);
}

/** What source code has between a closing quote and the end of the line, and the quotes themselves. */
const AFTER_QUOTE = new Set(`"'\`+.,;\\`);

/** Returns the labels of all BEGIN lines, also of blocks without an end. */
export function pemLabels(text: string): string[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map(([, label]) => String(label));
}

export function toPem({ label, headers }: PemBlock, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${headers}${der.toString('base64').replace(/.{64}(?!$)/g, '$&\n')}\n-----END ${label}-----\n`;
}

/** Returns whether DER is shorter than its first length says. A key has more than 127 bytes. */
function isCutOff(der: Buffer): boolean {
  const digits = (der[1] ?? 0) - 0x80;
  if (der[0] !== 0x30 || digits < 1 || digits > 4) return false;
  return der.length < 2 + digits + Number(`0x0${der.subarray(2, 2 + digits).toString('hex')}`);
}

/** @throws JwtctlError `ERR_PEM_INVALID` (usage) */
export function derOf({ der, headers, separator }: PemBlock, what: string): Buffer {
  const hint = 'Copy the file again from its source.';
  if (separator !== null) {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `${what} has ${separator} in place of its line breaks.`,
      `Replace each ${separator} with a line break or with \\n.`,
    );
  }
  if (der === null) {
    throw keyRefused(
      'ERR_PEM_INVALID',
      `${what} is damaged: between its BEGIN and END lines are characters other than base64.`,
      hint,
    );
  }
  // Encrypted PKCS#1 is not ASN.1.
  if (headers !== '' || !isCutOff(der)) return der;
  throw keyRefused(
    'ERR_PEM_INVALID',
    `${what} is cut off: lines between its BEGIN and END lines are missing.`,
    hint,
  );
}
