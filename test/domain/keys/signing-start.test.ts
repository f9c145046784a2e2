import { describe, expect, test } from 'vitest';
import type { Fleet } from '../../../src/domain/fleet/running-verifiers.js';
import { type SigningStartPolicy, signingStart } from '../../../src/domain/keys/signing-start.js';
import { heartbeatOf } from '../../support/heartbeats.js';
import { signingKey } from '../../support/signing-keys.js';

const NOW = 1_700_000_000;
const LEAD = 600;
const POLICY: SigningStartPolicy = {
  publishLeadSeconds: LEAD,
  isForced: false,
  keepsLead: false,
  leavesStragglers: false,
  needsFleet: false,
};
const ALL_LOADED: Fleet = { verifiers: [], unavailableReason: null };
const ONE_WITHOUT: Fleet = { verifiers: [heartbeatOf('behind', NOW)], unavailableReason: null };

const nextKey = (createdAt: number) => signingKey({ kid: 'next', state: 'pending', createdAt });

describe('the next pending key', () => {
  test('signs once the active key is due, its lead is over, and every verifier has loaded it', () => {
    const start = signingStart(nextKey(NOW - LEAD), NOW, POLICY, NOW, ALL_LOADED);
    expect(start).toMatchObject({ maySign: true, signsFrom: NOW, awaitsLead: false, awaitsFleet: false });
  });

  test('waits for the rest of its publish lead', () => {
    const start = signingStart(nextKey(NOW - 1), NOW, POLICY, NOW, ALL_LOADED);
    expect(start).toMatchObject({ maySign: false, signsFrom: NOW - 1 + LEAD, awaitsLead: true });
  });

  test('waits for a verifier for one hour', () => {
    const dueAt = NOW - 3_600;
    const next = nextKey(dueAt - LEAD);
    const start = signingStart(next, dueAt, POLICY, NOW, ONE_WITHOUT);
    expect(start).toMatchObject({ maySign: false, awaitsFleet: true, stragglers: ONE_WITHOUT.verifiers });
    expect(signingStart(next, dueAt, POLICY, NOW + 1, ONE_WITHOUT)).toMatchObject({ maySign: true });
  });

  test('signs at once in a forced rotation that keeps no lead', () => {
    const forced = { ...POLICY, isForced: true };
    expect(signingStart(nextKey(NOW), NOW, forced, NOW, ONE_WITHOUT)).toMatchObject({ maySign: true });
  });
});
