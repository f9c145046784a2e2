import type { SigningKey } from '../model/signing-key.js';
import type {
  KnownUserStatus,
  RegistryScanner,
  ScanOutcome,
  UserStatus,
  WalkProgress,
} from '../ports/index.js';
import type { KeyCount } from '../registry/keys-by-id.js';

export interface InspectionInput {
  now: number;
  top: number;
  /** Counts only entries under this key, and only subjects that have some. */
  key?: SigningKey | undefined;
  /** The time of an earlier inspection to compare with: see {@link Inspection.issuedBefore}. */
  since?: number | undefined;
  clockToleranceSeconds: number;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: InspectionProgress) => void) | undefined;
}

export interface InspectionProgress extends WalkProgress {
  entries: number;
}

export interface Inspection {
  backend: RegistryScanner['backend'];
  prefix: string;
  complete: boolean;
  missed: string[];
  entries: number;
  subjects: number;
  /** Estimated from a sample of the subjects; null if none was sampled. */
  bytes: number | null;
  byKid: KeyCount[];
  byNode: Array<{
    node: string;
    /** `gone`: the server stopped being a master during the scan. */
    role: ScanOutcome['nodes'][number]['role'] | 'gone';
    slots: number | null;
    entries: number;
    usedMemoryBytes: number | null;
  }>;
  /** A histogram of the remaining lifetimes; the last `leSeconds` is null, for entries above every bound. */
  ttl: Array<{ leSeconds: number | null; entries: number }>;
  /** The same in steps of one hour over the next 24 hours. */
  expiry: Array<{ leSeconds: number | null; entries: number }>;
  topSubjects: Array<{ sub: string; entries: number }>;
  anomalies: Anomalies;
  /** Entries issued before this inspection, and before {@link InspectionInput.since} (null if not given). */
  issuedBefore: { now: number; since: number | null };
}

/** Null if not checked. */
export interface Anomalies {
  /** Subjects that never expire. */
  noTtl: number | null;
  /** Subjects that do not expire at their last `exp` plus the clock tolerance. */
  ttlMismatch: number | null;
  /** Entries under a key without a row. */
  unknownKid: number;
  /** Subjects with entries and without a user. */
  unknownUser: number | null;
  /** Foreign members. */
  malformed: number;
}

export interface SubjectInspection extends Inspection {
  subject: SubjectFacts;
}

export interface SubjectFacts {
  sub: string;
  /** The master of the subject's hash slot; the file's name for SQLite. */
  node: string;
  expiresAt: number | null;
  /** Expired entries that still exist. */
  expired: number;
  /** From the user directory. */
  userStatus: UserStatus | 'unknown';
  /** As stored, expired or not. */
  cachedUser: KnownUserStatus | null;
}
