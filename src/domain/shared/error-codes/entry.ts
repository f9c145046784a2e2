/** What a caller can do about an error. The CLI derives its exit code from the kind: see `exitCodeOf` in `cli/output/exit-code.ts`. */
export type ErrorKind =
  /** Flags, settings, or input that must change before a retry can succeed. */
  | 'usage'
  /** The named thing does not exist. */
  | 'not_found'
  /** The thing exists, but its state does not allow the operation. */
  | 'state'
  /** A store cannot be reached, refuses the login, or is failing over. A retry may succeed. */
  | 'unavailable'
  /** The answer is no: the token is refused. */
  | 'refused'
  /** Part of the work was done. */
  | 'partial'
  /** The user interrupted or declined. */
  | 'interrupted'
  /** A defect in jwtctl. */
  | 'bug';

/** Declares one error code. */
export interface ErrorEntry {
  kind: ErrorKind;
  /** What happened, in one sentence. */
  meaning: string;
  /** What to do next, in one or two sentences. */
  remedy: string;
}
