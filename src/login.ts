import { hostname, userInfo } from 'node:os';

/** The account that this process runs under and its host, as the operating system says: `root@web-1`. */
export function login(): string {
  return `${accountName()}@${hostname()}`;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under an id that has no account.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
