import { killedVerifiersNote, nameVerifiers } from '../../../domain/fleet/running-verifiers.js';
import type { Acknowledgement } from '../../../domain/fleet/wait-for-verifiers.js';
import type { Heartbeat } from '../../../domain/ports/index.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { pluralize } from '../pluralize.js';
import type { JsonObject, Tone, View } from '../view.js';

/** Who it is, and when it last read the security log. */
export function verifierData(verifier: Heartbeat): JsonObject {
  const { id, host, pid, startedAt, readAt, at } = verifier;
  return { id, host, pid, startedAt, readAt, heartbeatAt: at };
}

/** The view of what was recorded, with the verifiers that have read it. */
export function withAcknowledgement(
  view: Extract<View, { shape: 'record' | 'report' }>,
  acknowledgement: Acknowledgement,
): View {
  const data = { ...view.data, fleet: acknowledgementData(acknowledgement) };
  const { text, tone } = acknowledgementText(acknowledgement);
  if (view.shape === 'record') return { ...view, data, fields: [...view.fields, [READ_BY, { text, tone }]] };
  const line = { title: { text: `${READ_BY} ${text}`, tone }, columns: [], rows: [] };
  return { ...view, data, sections: [...view.sections, line] };
}

const READ_BY = 'read by';

function acknowledgementData(acknowledgement: Acknowledgement): JsonObject | null {
  if ('unavailableReason' in acknowledgement) return null;
  const { verifiers, acknowledged, stragglers } = acknowledgement;
  return { verifiers, acknowledged, stragglers: stragglers.map(verifierData) };
}

function acknowledgementText(acknowledgement: Acknowledgement): { text: string; tone: Tone } {
  if ('unavailableReason' in acknowledgement) return { text: 'not known', tone: 'bad' };
  const { verifiers, acknowledged } = acknowledgement;
  const text = `${acknowledged} of ${pluralize(verifiers, 'verifier')}`;
  return { text, tone: acknowledged === verifiers ? 'good' : 'bad' };
}

export function acknowledgementNotes(acknowledgement: Acknowledgement): string[] {
  if ('unavailableReason' in acknowledgement || acknowledgement.verifiers > 0) return [];
  return ['No verifier runs that tells of itself.'];
}

export function acknowledgementWarnings(
  acknowledgement: Acknowledgement,
  policy: { timeoutSeconds: number; clockToleranceSeconds: number },
): string[] {
  if ('unavailableReason' in acknowledgement) {
    return [
      `It is recorded. Which verifiers have read it could not be asked: ${acknowledgement.unavailableReason}`,
    ];
  }
  if (acknowledgement.stragglers.length === 0) return [];
  return [
    `It is recorded, and not read within ${formatDuration(policy.timeoutSeconds)} by ${nameVerifiers(acknowledgement.stragglers)}. Look whether they reach the database, or end them. ${killedVerifiersNote(policy)}`,
  ];
}
