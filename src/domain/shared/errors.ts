/**
 * What went wrong, as far as a caller's next step depends on it. The CLI's exit code follows from the kind alone:
 * see `exitCodeOf` in `output/exit-code.ts`.
 */
export type ErrorKind =
  /** Flags, settings or input that cannot be right however often they are tried. */
  | 'usage'
  /** The thing named does not exist. */
  | 'not_found'
  /** The thing exists, and its state does not allow this. */
  | 'state'
  /** A store cannot be reached, refuses the login or is failing over: trying again later may help. */
  | 'unavailable'
  /** The answer is no: a token that does not hold. */
  | 'refused'
  /** Some of the work was done and some was not. */
  | 'partial'
  /** The user interrupted. */
  | 'interrupted'
  /** A defect in jwtctl. */
  | 'bug';

export interface JwtctlErrorOptions {
  /** What to do next, best as a command to run. */
  hint?: string;
  /** Facts for programs. Printed as they are, so never a token, a private key or a password. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/**
 * The only error that jwtctl throws on purpose.
 *
 * `code` is stable (`ERR_…`) and safe to match on; `message` names what happened to which thing and may be reworded.
 */
export class JwtctlError extends Error {
  override readonly name = 'JwtctlError';
  readonly kind: ErrorKind;
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown>;

  constructor(kind: ErrorKind, code: string, message: string, options: JwtctlErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** What failed, for a report that goes on: of an error that is not ours only its name, for its wording may quote anything. */
export function failureText(error: unknown): string {
  if (error instanceof JwtctlError) return error.message;
  return `a bug in jwtctl (${error instanceof Error ? error.name : typeof error})`;
}

/** A defect: `value` has a shape that the types rule out. Closes a `switch` over a union, so that a new member breaks the build. */
export function unreachable(value: never): never {
  throw new JwtctlError('bug', 'ERR_UNREACHABLE', `A value outside its type: ${JSON.stringify(value)}.`);
}
