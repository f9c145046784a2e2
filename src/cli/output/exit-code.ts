import { type ErrorKind, JwtctlError } from '../../domain/shared/errors.js';

export const EXIT = {
  done: 0,
  refused: 1,
  usage: 2,
  state: 3,
  unavailable: 4,
  partial: 5,
  bug: 70,
  interrupted: 130,
} as const;

export function exitCodeOf(error: unknown): number {
  return error instanceof JwtctlError ? exitCodeOfKind(error.kind) : EXIT.bug;
}

export function exitCodeOfKind(kind: ErrorKind): number {
  return EXIT[kind === 'not_found' ? 'state' : kind];
}
