import type { Inspection } from '../domain/inspection/types.js';
import type { KeyPhase, KeyTimes } from '../domain/keys/timeline.js';
import type { KeyState } from '../domain/model/signing-key.js';

/**
 * What the page shows at one time: the documents of `cache inspect`, `keys list --timeline`, `status`, and `doctor`.
 * Only the members that the page uses have a type.
 */
export interface Report {
  at: number;
  inspection: Omit<Inspection, 'missed' | 'byKid' | 'issuedBefore'> & {
    missed?: readonly string[];
    byKid: ReadonlyArray<{ kid: string | null; keyId: number; state: KeyState | null; entries: number }>;
  };
  timeline: {
    keys: ReadonlyArray<KeyTimes & { phases: readonly KeyPhase[] }>;
    nextRotation: number | null;
    axis: { from: number; to: number };
  };
  status: {
    activeKey: { kid: string; alg: string; activatedAt: number | null } | null;
    nextRotation: { at: number; kid: string | null } | null;
    registry: { nodes: number; unreachable: readonly string[] } | null;
    verifiers: readonly RunningVerifier[] | null;
  };
  doctor: { errors: number; warnings: number; checks: readonly CheckReport[] };
}

export interface RunningVerifier {
  id: string;
  host: string;
  pid: number;
  startedAt: number;
  heartbeatAt: number;
}

export interface CheckReport {
  check: string;
  title: string;
  result: 'ok' | 'warning' | 'error' | 'not_made';
  findings: ReadonlyArray<{ level: 'warning' | 'error'; message: string; remedy: string }>;
  /** Why the check was not made. */
  reason: string | null;
}

/** What is embedded in the page. */
export interface PageData {
  /** Of jwtctl. */
  version: string;
  /** Null for the dashboard, which reads it from the server. */
  report: Report | null;
}
