import { hostname, userInfo } from 'node:os';

export function login(): string {
  return `${accountName()}@${hostname()}`;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run with a user id that has no account.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
