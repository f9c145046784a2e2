import { killedVerifiersNote, nameVerifiers } from '../../../domain/fleet/running-verifiers.js';
import type { Acknowledgement } from '../../../domain/fleet/wait-for-verifiers.js';
import type { Heartbeat } from '../../../domain/ports/index.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import type { JsonObject, Tone, View } from '../view.js';

export function verifierData(verifier: Heartbeat) {
  const { id, host, pid, version = null, startedAt, readAt, at } = verifier;
  return { id, host, pid, version, startedAt, readAt, heartbeatAt: at };
}

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
  if ('unavailableReason' in acknowledgement) return { text: 'unknown', tone: 'bad' };
  const { verifiers, acknowledged } = acknowledgement;
  const text = `${acknowledged} of ${pluralize(verifiers, 'verifier')}`;
  return { text, tone: acknowledged === verifiers ? 'good' : 'bad' };
}

export function acknowledgementNotes(acknowledgement: Acknowledgement): string[] {
  if ('unavailableReason' in acknowledgement || acknowledgement.verifiers > 0) return [];
  return ['No running verifiers were found.'];
}

export function acknowledgementWarnings(
  acknowledgement: Acknowledgement,
  policy: { timeoutSeconds: number; clockToleranceSeconds: number },
): string[] {
  if ('unavailableReason' in acknowledgement) {
    return [
      `Recorded, but jwtctl could not check which verifiers have read it: ${acknowledgement.unavailableReason}`,
    ];
  }
  if (acknowledgement.stragglers.length === 0) return [];
  const time = formatDuration(policy.timeoutSeconds);
  const names = nameVerifiers(acknowledgement.stragglers);
  return [
    `Recorded, but these verifiers did not pick it up within ${time}: ${names}. Check that they can reach the database, or stop them. ${killedVerifiersNote(policy)}`,
  ];
}
