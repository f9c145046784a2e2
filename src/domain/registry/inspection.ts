import type { SigningKey } from '../model/signing-key.js';
import type {
  KnownUserStatus,
  RegistryScanner,
  ScanOutcome,
  UserStatus,
  WalkProgress,
} from '../ports/index.js';
import type { KeyCount } from './key-names.js';

export interface InspectionInput {
  now: number;
  /** How many subjects with the most entries are named. */
  top: number;
  /** Only entries under this key, and what is kept of subjects that have some. */
  key?: SigningKey;
  /** Entries that were issued before then are counted apart: what a later look has to be compared with. */
  since?: number;
  clockToleranceSeconds: number;
  signal?: AbortSignal;
  onProgress?: (progress: InspectionProgress) => void;
}

export interface InspectionProgress extends WalkProgress {
  /** So far. */
  entries: number;
}

export interface Inspection {
  backend: RegistryScanner['backend'];
  prefix: string;
  complete: boolean;
  missed: string[];
  entries: number;
  subjects: number;
  /** Estimated from a sample of the subjects; null where there was none. */
  bytes: number | null;
  byKid: KeyCount[];
  byNode: Array<{
    node: string;
    /** `gone`: a server that was a master when its entries were read, and is none any more. */
    role: ScanOutcome['nodes'][number]['role'] | 'gone';
    slots: number | null;
    entries: number;
    usedMemoryBytes: number | null;
  }>;
  /** How many entries have at most so long to live (and more than the bar before); `leSeconds` null: longer than that. */
  ttl: Array<{ leSeconds: number | null; entries: number }>;
  topSubjects: Array<{ sub: string; entries: number }>;
  anomalies: Anomalies;
  /** Entries issued before this look, and before {@link InspectionInput.since}; null where that is not given. */
  issuedBefore: { now: number; since: number | null };
}

/** Null: not looked at. */
export interface Anomalies {
  /** Subjects of which something is kept that never expires. */
  noTtl: number | null;
  /** Subjects of which something is kept that does not expire at the last `exp` plus the clock tolerance. */
  ttlMismatch: number | null;
  /** Entries under a key that the key store does not have. */
  unknownKid: number;
  /** Subjects with entries that are no users. */
  unknownUser: number | null;
  /** What stands among the entries and is none. */
  malformed: number;
}

export interface SubjectInspection extends Inspection {
  subject: SubjectFacts;
}

export interface SubjectFacts {
  sub: string;
  /** The master that holds the subject, or would; the file's name for SQLite. */
  node: string;
  /** When what is kept of the subject expires; null where it never does, or nothing is kept. */
  expiresAt: number | null;
  /** Entries that have expired and are still there. */
  expired: number;
  /** As the user directory has it now. */
  userStatus: UserStatus | 'unknown';
  /** As it is noted beside the entries, whether its time is over or not. */
  cachedUser: KnownUserStatus | null;
}
