import { type ErrorKind, JwtctlError, unreachable } from '../../domain/shared/errors.js';

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
  switch (kind) {
    case 'refused':
      return EXIT.refused;
    case 'usage':
      return EXIT.usage;
    case 'not_found':
    case 'state':
      return EXIT.state;
    case 'unavailable':
      return EXIT.unavailable;
    case 'partial':
      return EXIT.partial;
    case 'interrupted':
      return EXIT.interrupted;
    case 'bug':
      return EXIT.bug;
    default:
      return unreachable(kind);
  }
}
