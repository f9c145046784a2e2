import type { RegistryScanner, ScannedSubject, ScanOptions, ScanOutcome } from '../ports/index.js';

export interface SubjectPart<State> {
  part: ScannedSubject;
  state: State;
}

/** Scans the registry. All parts of a subject share one state, which `begin` makes from the first part. */
export function scanSubjects<State>(
  registry: RegistryScanner,
  begin: (first: ScannedSubject) => State,
  onParts: (parts: ReadonlyArray<SubjectPart<State>>) => void | Promise<void>,
  options: ScanOptions,
): Promise<ScanOutcome> {
  const unfinished = new Map<string, State>();
  const withState = (part: ScannedSubject): SubjectPart<State> => {
    const state = unfinished.get(part.sub) ?? begin(part);
    if (part.isLast) unfinished.delete(part.sub);
    else unfinished.set(part.sub, state);
    return { part, state };
  };
  return registry.scan((parts) => onParts(parts.map(withState)), options);
}
