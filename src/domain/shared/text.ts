import { JwtctlError } from './errors.js';

/** Accepts 1 to 1,000 characters on one line. */
export function parseReason(text: string): string {
  return oneLine('reason', text, 1_000);
}

/** Accepts 1 to 255 characters on one line. */
export function parseUserName(text: string): string {
  return oneLine('name', text, 255);
}

/** Accepts 1 to 255 characters on one line. */
export function parseActor(text: string): string {
  return oneLine('actor', text, 255);
}

function oneLine(what: string, text: string, maxLength: number): string {
  if (text.trim() === '' || text.length > maxLength || hasControlCharacter(text) || !text.isWellFormed()) {
    throw new JwtctlError(
      'ERR_TEXT_INVALID',
      `The ${what} is invalid: expected 1 to ${maxLength} characters, without line breaks.`,
    );
  }
  return text;
}

/** Adds a period unless the text ends like a sentence. */
export function asSentence(text: string): string {
  return /[.!?]\)?$/.test(text) ? text : `${text}.`;
}

/**
 * Escapes all but letters, marks, numbers, punctuation, symbols, and plain spaces: other characters could
 * control the terminal, reverse text, or be invisible.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(unprintable(), (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : escapeUnit(code);
  });
}

export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Returns equivalent JSON with all characters escaped that are not {@link printable}. */
export function printableJson(json: string): string {
  if (PLAIN.test(json)) return json;
  return json.replace(unprintable(), (character) =>
    [...Array(character.length).keys()].map((unit) => escapeUnit(character.charCodeAt(unit))).join(''),
  );
}

/** ASCII, and the character that marks shortened text. */
const PLAIN = /^[\x20-\x7e…]*$/;

/** Made only when it is needed: V8 takes 2 ms to collect these characters. */
function unprintable(): RegExp {
  return /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|\p{Default_Ignorable_Code_Point}/gu;
}

function escapeUnit(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`;
}

/** Returns text as one word of a command that a person may copy into a shell. */
export function shellWord(text: string): string {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns a flag with its value, as {@link shellWord}. A value that begins with a dash follows an equals sign. */
export function flagArgument(name: string, value: string): string {
  return `--${name}${value.startsWith('-') ? '=' : ' '}${shellWord(value)}`;
}

/** Hides a name that looks like a key or a passphrase, passed by mistake instead of a file name. */
export function fileNameShown(name: string): string {
  const isLong = name.length > 200 || /[\r\n]/.test(name);
  // A setting makes the path absolute: `/srv/<key>=`.
  const isMasterKey = /^[A-Za-z0-9+_-][A-Za-z0-9+/_-]{42}=?$|\/[A-Za-z0-9+/_-]{43}=$/.test(name);
  return isLong || isMasterKey ? '(hidden: not a file name)' : printable(name);
}

/** Returns the first 60 characters, printable. */
export function excerpt(text: string): string {
  const shown = printable(text.slice(0, 60));
  return text.length > 60 ? `${shown}…` : shown;
}

/** Returns the text within quotes that surround all of it, as typed, escaped, or set by an editor; null without them. */
export function insideQuotes(text: string): string | null {
  const [, , plain, double, single] = QUOTED.exec(text) ?? [];
  return plain ?? double ?? single ?? null;
}

const QUOTED = /^(?:\\?(["'`])((?:(?!\1)[^\\])*)\\?\1|[“”„]([^“”]*)[“”]|[‘’‚]([^‘’]*)[‘’])$/s;

// C0, DEL, and C1 characters move the cursor of a terminal, and SQLite cuts text at NUL.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is its purpose
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

export function hasControlCharacter(value: string): boolean {
  return CONTROL.test(value);
}
