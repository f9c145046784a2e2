import type { RegistryEntry } from '../model/registry-entry.js';
import type { TokenMeta } from '../model/token-meta.js';
import type { KnownUserStatus, MasterWarning } from './token-status.js';

/** Reads the whole registry, and lists the servers behind it. */
export interface RegistryScanner {
  readonly backend: 'redis-cluster' | 'redis' | 'sqlite';
  /** The start of every key name; empty for SQLite. */
  readonly prefix: string;

  /**
   * Passes every subject with live entries or foreign members to `onSubjects`, in no order. A large subject
   * comes in parts: see `scanSubjects`. @throws JwtctlError; with `sub` also `ERR_REDIS_WRONG_TYPE` (state)
   */
  scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome>;

  /** Returns where the data of a subject is, whether there is any or not. */
  locate(sub: string): Promise<SubjectLocation>;

  /** Returns the servers behind the registry, masters before their replicas. */
  nodes(): Promise<RegistryNode[]>;
}

export interface SubjectLocation {
  /** Null outside a cluster. */
  slot: number | null;
  /** The master: `host:port`, or the file's name for SQLite. Null if no master is known. */
  node: string | null;
}

export type OnSubjects = (subjects: readonly ScannedSubject[]) => void | Promise<void>;

/** Lets the caller of a walk follow and interrupt it. */
export interface WalkControl {
  /** Once aborted, the walk ends early and lists what it did not read. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: WalkProgress) => void) | undefined;
}

export interface WalkOptions extends WalkControl {
  now: number;
}

/** A cluster counts its 16,384 hash slots; other registries count subjects, with a null total. */
export interface WalkProgress {
  unit: 'slots' | 'subjects';
  done: number;
  total: number | null;
}

export interface ScanOptions extends WalkOptions {
  /** Whether to read meta and {@link SubjectDetails}, and subjects without live entries. Default: false. */
  withDetails?: boolean;
  /** Reads only this subject, from its own key. Default: all subjects. */
  sub?: string | undefined;
}

/** A subject, or a part of it. */
export interface ScannedSubject {
  sub: string;
  /** Its master: `host:port`, or the file's name for SQLite. */
  node: string;
  isLast: boolean;
  entries: ScannedEntry[];
  malformed: number;
  /** The memory of the whole subject; null if it was not sampled, and after the first part. */
  bytes: number | null;
  details: SubjectDetails | null;
}

export interface ScannedEntry extends RegistryEntry {
  meta: TokenMeta | null;
}

export interface SubjectDetails {
  /** Null if the subject's data never expires. */
  expiresAt: number | null;
  /** The number of expired entries that still exist. */
  expired: number;
  user: KnownUserStatus | null;
}

export interface ScanOutcome {
  complete: boolean;
  /** What could not be read, for people: `slots 0-5460 (127.0.0.1:7001: connection refused)`. */
  missed: string[];
  nodes: Array<{
    node: string;
    role: 'master' | 'embedded';
    slots: number | null;
    usedMemoryBytes: number | null;
  }>;
}

export const INTERRUPTED = 'the run was interrupted';
export const LEFT_BY_INTERRUPTION = `the rest of the registry (${INTERRUPTED})`;

export interface RegistryNode {
  /** `host:port`, or the file's name for SQLite. */
  node: string;
  role: 'master' | 'replica' | 'embedded';
  master: string | null;
  /** The number of hash slots that a master serves; null outside a cluster. */
  slots: number | null;
  /** All keys of the server, including those of other applications; null if it did not answer. */
  keys: number | null;
  usedMemoryBytes: number | null;
  /** Null if there is no limit, or it is unknown. */
  maxmemoryBytes: number | null;
  maxmemoryPolicy: string | null;
  warnings: MasterWarning[];
  /** How far a replica's offset is behind its master's, in bytes; null for other servers. */
  lagBytes: number | null;
  /** The server's clock when it answered; null if it did not, and for SQLite. */
  time: number | null;
  /** When the server was asked, and when it answered, by `performance.now()`; null if it did not, and for SQLite. */
  exchange: { askedMs: number; answeredMs: number } | null;
  reachable: boolean;
}
