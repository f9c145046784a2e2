import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { printable } from '../domain/shared/text.js';

/** A user other than the account and root could change the file, or it is not a regular file. */
export interface FileFault {
  /** Completes "The file … cannot be trusted: ". */
  readonly reason: string;
  readonly remedy: string;
}

export interface TrustedFile {
  readonly bytes: Buffer;
  readonly isTooLarge: boolean;
  readonly fault: FileFault | null;
  /** A command that keeps other users from reading the file; null if they cannot read it. */
  readonly readableByOthers: string | null;
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const ROOT = 0;
/** The kernel generates the files in these folders. */
const KERNEL_FOLDERS = new Set(['/proc', '/sys', '/dev']);
const MAX_LINKS = 40;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Reads a file and checks which users could have changed it: first every folder and link on the way, then the
 * file through its open descriptor, so the check applies to the file that was read.
 *
 * Trusts only root and the account that runs jwtctl. They must own the file, its folders, and every link on
 * the way (Kubernetes mounts secrets through links), and no other user may write to the file or its folders.
 * A sticky folder (`/tmp`) is allowed: other users can add files there but cannot replace this one.
 *
 * Synchronous, because a command makes dozens of these short calls, and each asynchronous one costs a switch of threads.
 *
 * @param path absolute
 * @throws the error of the system call if the file is missing or cannot be read
 */
export function readTrusted(path: string, maxBytes: number): TrustedFile {
  const account = process.geteuid?.();
  // Windows has no owners, modes, or O_NOFOLLOW.
  if (account === undefined) return read(openSync(resolve(path), 'r'), maxBytes, null);

  const found = find(resolve(path), account);
  if (found.isSpecial) return SPECIAL_FILE;
  return read(openSync(found.path, OPEN_FLAGS), maxBytes, { account, path: found.path, fault: found.fault });
}

/** Checks like {@link readTrusted} without opening the file. If it is missing, checks only its folders. */
export function judge(path: string): FileFault | null {
  const account = process.geteuid?.();
  if (account === undefined) return null;
  const found = find(resolve(path), account, true);
  if (found.isSpecial) return SPECIAL;
  return found.fault ?? (found.stats === null ? null : fileFault(found.path, found.stats, account));
}

/** Returns whether the path is a descriptor inherited from the shell, such as a pipe: `<(…)`. */
export function isInherited(path: string): boolean {
  return /^\/(?:dev\/(?:stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/.test(path);
}

interface Found {
  readonly path: string;
  readonly fault: FileFault | null;
  /** A device, socket, or pipe: opening one can have side effects or block forever. */
  readonly isSpecial: boolean;
  readonly stats: Stats | null;
}

/** Follows `path` link by link and reports the first fault. Throws for a missing file even after a fault. */
function find(path: string, account: number, mayBeMissing = false): Found {
  const names = path.split('/');
  let place = '/';
  let stats = lstatSync(place);
  let fault: FileFault | null = null;
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      if (!stats.isDirectory()) throw Object.assign(new Error('Not a folder.'), { code: 'ENOTDIR' });
      place = dirname(place);
      stats = lstatSync(place);
      continue;
    }
    fault ??= folderFault(place, stats, account);
    const next = join(place, name);
    if (KERNEL_FOLDERS.has(next)) return { path: next, fault, isSpecial: true, stats: null };
    const nextStats = mayBeMissing ? lstatSync(next, { throwIfNoEntry: false }) : lstatSync(next);
    if (nextStats === undefined) return { path: next, fault, isSpecial: false, stats: null };
    stats = nextStats;
    if (!stats.isSymbolicLink()) {
      place = next;
      continue;
    }
    const link = `the link ${printable(next)}`;
    fault ??= ownerFault(link, stats, account, 'Recreate the link with this account.');
    links += 1;
    if (links > MAX_LINKS) throw Object.assign(new Error('Too many links.'), { code: 'ELOOP' });
    const target = readlinkSync(next);
    if (target.startsWith('/')) place = '/';
    stats = lstatSync(place);
    names.unshift(...target.split('/'));
  }
  if (stats.isDirectory()) throw Object.assign(new Error('It is a folder.'), { code: 'EISDIR' });
  return { path: place, fault, isSpecial: !stats.isFile(), stats };
}

/** Closes the descriptor. */
function read(
  descriptor: number,
  maxBytes: number,
  judged: { account: number; path: string; fault: FileFault | null } | null,
): TrustedFile {
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) return SPECIAL_FILE;
    const bytes = atMost(descriptor, maxBytes + 1);
    return {
      bytes: bytes.subarray(0, maxBytes),
      isTooLarge: bytes.length > maxBytes,
      fault: judged === null ? null : (judged.fault ?? fileFault(judged.path, stats, judged.account)),
      readableByOthers: judged === null ? null : readersRemedy(judged.path, stats, judged.account),
    };
  } finally {
    closeSync(descriptor);
  }
}

function atMost(descriptor: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let size = 0;
  for (;;) {
    const bytesRead = readSync(descriptor, buffer, size, length - size, null);
    if (bytesRead === 0) return buffer.subarray(0, size);
    size += bytesRead;
  }
}

const SPECIAL: FileFault = {
  reason: 'it is not a regular file, or it is in /proc, /sys, or /dev',
  remedy: 'Use a regular file in another folder.',
};
const SPECIAL_FILE = { bytes: Buffer.alloc(0), isTooLarge: false, fault: SPECIAL, readableByOthers: null };

function folderFault(folder: string, stats: Stats, account: number): FileFault | null {
  const name = printable(folder);
  const remedy = 'Move it to a folder that this account or root owns.';
  const owner = ownerFault(`its folder ${name}`, stats, account, remedy);
  if (owner !== null || (stats.mode & OTHERS_WRITE) === 0 || (stats.mode & STICKY) !== 0) return owner;
  return {
    reason: `other users can write to its folder ${name}`,
    remedy: `Check its contents, then move it to a folder that other users cannot write to, or run \`chmod go-w ${name}\`.`,
  };
}

function fileFault(path: string, stats: Stats, account: number): FileFault | null {
  const name = printable(path);
  const remedy = `Check its contents, then run \`chown ${account} ${name}\`.`;
  const owner = ownerFault('it', stats, account, remedy);
  if (owner !== null || (stats.mode & OTHERS_WRITE) === 0) return owner;
  return {
    reason: 'other users can write to it',
    remedy: `Check its contents, then run \`chmod 600 ${name}\`.`,
  };
}

function ownerFault(what: string, { uid }: Stats, account: number, remedy: string): FileFault | null {
  if (uid === account || uid === 0) return null;
  return { reason: `${what} belongs to another user (uid ${uid}), who could change it`, remedy };
}

/**
 * On a file of root, neither the account's own group nor the group of root counts as other users. An ACL that lets only
 * the account read the file, as on a credential of systemd, shows as a right of the group.
 */
function readersRemedy(path: string, { mode, uid, gid }: Stats, account: number): string | null {
  const isOwn = uid === account;
  const isOwnGroup = !isOwn && [ROOT, process.getegid?.(), ...(process.getgroups?.() ?? [])].includes(gid);
  if ((mode & (isOwnGroup ? 0o004 : 0o044)) === 0) return null;
  const name = printable(path);
  if (isOwn) return `chmod 600 ${name}`;
  return isOwnGroup ? `chmod o= ${name}` : `chown ${account} ${name} && chmod 600 ${name}`;
}
