import type { RegistryEntry } from '../model/registry-entry.js';
import type { KnownUserStatus, MasterWarning } from './token-status.js';

/** Reads the whole registry, and names the servers behind it. */
export interface RegistryScanner {
  readonly backend: 'redis-cluster' | 'redis' | 'sqlite';
  /** The start of every key name; empty for SQLite. */
  readonly prefix: string;

  /**
   * Hands over every subject that has live entries or foreign members, in no order and some at a time. Each comes once; one
   * with very many entries comes in several parts, one after the other: see `scanSubjects`. The scan waits for `onSubjects`,
   * so that memory stays bounded, and rejects if that does.
   *
   * @throws JwtctlError; with `sub` also `ERR_REDIS_WRONG_TYPE` (state) if the subject's key holds something else
   */
  scan(onSubjects: OnSubjects, options: ScanOptions): Promise<ScanOutcome>;

  /** Returns the servers behind the registry, masters before their replicas. */
  nodes(): Promise<RegistryNode[]>;
}

/** Takes subjects in, some at a time. */
export type OnSubjects = (subjects: readonly ScannedSubject[]) => void | Promise<void>;

/** Options of what visits every subject. */
export interface WalkOptions {
  now: number;
  /** Once it is aborted, nothing more is begun; the outcome says what was not read. */
  signal?: AbortSignal;
  /** Called from time to time. */
  onProgress?: (progress: WalkProgress) => void;
}

/** In a cluster in hash slots, of 16,384; elsewhere in subjects, of an unknown total. */
export interface WalkProgress {
  unit: 'slots' | 'subjects';
  done: number;
  total: number | null;
}

export interface ScanOptions extends WalkOptions {
  /** Also what else is kept of a subject, and subjects of which nothing else is left. Default: false. */
  withDetails?: boolean;
  /** Reads this subject alone, from its own key. Default: all subjects. */
  sub?: string;
}

/** A subject, or a part of it. */
export interface ScannedSubject {
  sub: string;
  /** The master that holds it: `host:port`, or the file's name for SQLite. */
  node: string;
  /** Whether no more parts of the subject follow. */
  isLast: boolean;
  /** The live ones. */
  entries: ScannedEntry[];
  /** How many members of this part are foreign. */
  malformed: number;
  /** Memory of all that is kept of the subject, in bytes; null if it was not sampled, and after the first part. */
  bytes: number | null;
  /** Null without `withDetails`, and after the first part. */
  details: SubjectDetails | null;
}

export interface ScannedEntry extends RegistryEntry {
  /** Null if there is none, and without `withDetails`. */
  label: string | null;
}

export interface SubjectDetails {
  /** When what is kept of the subject expires; null if it never does. */
  expiresAt: number | null;
  /** Expired entries that still exist. */
  expired: number;
  /** The cached user status, valid or not. */
  user: KnownUserStatus | null;
}

export interface ScanOutcome {
  complete: boolean;
  /** What could not be read, for a person: `slots 0-5460 (127.0.0.1:7001: connection refused)`. */
  missed: string[];
  nodes: Array<{
    node: string;
    role: 'master' | 'embedded';
    slots: number | null;
    usedMemoryBytes: number | null;
  }>;
}

/** For a report: why a part was not read or not done. */
export const INTERRUPTED = 'the run was interrupted';
/** For a report: the part that was not read, if it has no better name. */
export const LEFT_BY_INTERRUPTION = `what was left (${INTERRUPTED})`;

export interface RegistryNode {
  /** `host:port`, or the file's name for SQLite. */
  node: string;
  role: 'master' | 'replica' | 'embedded';
  /** The `host:port` of a replica's master; null for others. */
  master: string | null;
  /** How many of the 16,384 hash slots a master serves; null outside a cluster. */
  slots: number | null;
  /** All keys of the server, those of other applications included; null if it could not be asked. */
  keys: number | null;
  usedMemoryBytes: number | null;
  /** Null if there is no limit, or it is not known. */
  maxmemoryBytes: number | null;
  maxmemoryPolicy: string | null;
  /** Problems of a server that answers. */
  warnings: MasterWarning[];
  /** How far a replica's offset is behind its master's, in bytes; null for others. */
  lagBytes: number | null;
  reachable: boolean;
}
