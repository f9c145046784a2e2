import { JwtctlError } from './errors.js';
import { hasControlCharacter } from './subject.js';

/** Why something was done, for the logs: 1 to 1,000 characters on one line. */
export function parseReason(text: string): string {
  return oneLine('reason', text, 1_000);
}

/** A user's name for people: 1 to 255 characters on one line. */
export function parseUserName(text: string): string {
  return oneLine('name', text, 255);
}

/** Who is at it, for the audit log: 1 to 255 characters on one line. */
export function parseActor(text: string): string {
  return oneLine('actor', text, 255);
}

function oneLine(what: string, text: string, maxLength: number): string {
  if (text === '' || text.length > maxLength || hasControlCharacter(text) || !text.isWellFormed()) {
    throw new JwtctlError(
      'usage',
      'ERR_TEXT_INVALID',
      `The ${what} cannot be used; expected 1 to ${maxLength} characters on one line.`,
    );
  }
  return text;
}
