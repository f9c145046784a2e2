import type { RegistryScanner, ScannedSubject, ScanOptions, ScanOutcome } from '../ports/index.js';

/** A scanned subject, or a part of it, and the state that all parts of the subject share. */
export interface SubjectPart<State> {
  part: ScannedSubject;
  state: State;
}

/**
 * Scans the registry with a state for each subject. A subject with very many entries comes in several parts, so that memory
 * stays bounded. This is the only place that keeps track of them; `part.isLast` tells the end of a subject.
 *
 * @param begin makes the state of a subject from its first part
 * @throws what {@link RegistryScanner.scan} throws
 */
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
