/** What a caller can do about an error. The CLI derives its exit code from it: `cli/output/exit-code.ts`. */
export type ErrorKind =
  /** Flags, settings, or input that must change before a retry can succeed. */
  | 'usage'
  /** The named thing does not exist. */
  | 'not_found'
  /** The thing exists, but its state does not allow the operation. */
  | 'state'
  /** A store cannot be reached, refuses the login, or is failing over. A retry may succeed. */
  | 'unavailable'
  /** A token or a client is refused. */
  | 'refused'
  /** Part of the work was done. */
  | 'partial'
  /** The user interrupted or declined. */
  | 'interrupted'
  /** A defect in jwtctl. */
  | 'bug';

export const usage = ofKind('usage');
export const notFound = ofKind('not_found');
export const state = ofKind('state');
export const unavailable = ofKind('unavailable');
export const refused = ofKind('refused');
export const partial = ofKind('partial');
export const interrupted = ofKind('interrupted');
export const bug = ofKind('bug');

/** A code declares what happened, in one sentence, and what to do next, in one or two. */
function ofKind(kind: ErrorKind) {
  return (meaning: string, remedy: string) => ({ kind, meaning, remedy });
}
