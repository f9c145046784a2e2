// The access tokens of one session form a family: the `jti` of each is `<family>.<counter>`. So a jti shows its
// family, and an event that names the family covers all of its tokens.

/** Accepts what {@link newRandomId} returns. */
const FAMILY = '[A-Za-z0-9][A-Za-z0-9_-]{21}';
export const FAMILY_CHARACTERS = 22;
const DOT = '.'.charCodeAt(0);
const WHOLE_FAMILY = new RegExp(`^${FAMILY}$`);
const JTI = new RegExp(`^${FAMILY}\\.(?:0|[1-9][0-9]{0,9})$`);

export function familyJti(family: string, counter: number): string {
  return `${family}.${counter}`;
}

/** The most sessions of a subject without `registry.maxPerSubject`. */
const MOST_SESSIONS = 1_000;

/**
 * Returns how many sessions a subject may have: with more than `above`, the oldest are removed until `most` are left.
 * The distance saves reading all of them at each login.
 */
export function sessionLimit(maxPerSubject: number | undefined): { most: number; above: number } {
  const most = maxPerSubject ?? MOST_SESSIONS;
  return { most, above: most + Math.floor(most / 10) };
}

export function isFamily(text: string): boolean {
  return WHOLE_FAMILY.test(text);
}

/** Whether this is the name of the token, or of its family. */
export function isNamedBy(jti: string, name: string): boolean {
  return jti === name || familyOf(jti) === name;
}

/** Returns the family of a token; null for a token without one. */
export function familyOf(jti: string): string | null {
  // Verifiers ask for each token, so the common case does not run the regular expression.
  if (jti.charCodeAt(FAMILY_CHARACTERS) !== DOT || !JTI.test(jti)) return null;
  return jti.slice(0, FAMILY_CHARACTERS);
}

/** Returns the position of a token in its family, from 0. */
export function counterOf(jti: string): number {
  return Number(jti.slice(FAMILY_CHARACTERS + 1));
}
