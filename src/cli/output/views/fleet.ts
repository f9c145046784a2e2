import { nameVerifiers, stoppedOnesCount } from '../../../domain/fleet/running-verifiers.js';
import type { FleetPassage } from '../../../domain/fleet/wait-for-verifiers.js';
import type { VerifierAnnouncement } from '../../../domain/ports/index.js';
import { formatDuration } from '../../../domain/shared/duration.js';
import { counted } from '../pluralize.js';
import type { JsonObject, Tone, View } from '../view.js';

/** Who it is, and when it last read the security log. */
export function verifierData(verifier: VerifierAnnouncement): JsonObject {
  const { id, host, pid, startedAt, readAt, at } = verifier;
  return { id, host, pid, startedAt, readAt, announcedAt: at };
}

/** The view of what was recorded, with the verifiers that have read it. */
export function withPassage(
  view: Extract<View, { shape: 'record' | 'report' }>,
  passage: FleetPassage,
): View {
  const data = { ...view.data, fleet: passageData(passage) };
  const { text, tone } = passageText(passage);
  if (view.shape === 'record') return { ...view, data, fields: [...view.fields, [READ_BY, { text, tone }]] };
  const line = { title: { text: `${READ_BY} ${text}`, tone }, columns: [], rows: [] };
  return { ...view, data, sections: [...view.sections, line] };
}

const READ_BY = 'read by';

function passageData(passage: FleetPassage): JsonObject | null {
  if ('unasked' in passage) return null;
  const { verifiers, passed, stragglers } = passage;
  return { verifiers, passed, stragglers: stragglers.map(verifierData) };
}

function passageText(passage: FleetPassage): { text: string; tone: Tone } {
  if ('unasked' in passage) return { text: 'not known', tone: 'bad' };
  const { verifiers, passed } = passage;
  const text = `${passed} of ${counted(verifiers, 'verifier')}`;
  return { text, tone: passed === verifiers ? 'good' : 'bad' };
}

export function passageNotes(passage: FleetPassage): string[] {
  if ('unasked' in passage || passage.verifiers > 0) return [];
  return ['No verifier runs that tells of itself.'];
}

export function passageWarnings(
  passage: FleetPassage,
  policy: { timeoutSeconds: number; clockToleranceSeconds: number },
): string[] {
  if ('unasked' in passage) {
    return [`It is recorded. Which verifiers have read it could not be asked: ${passage.unasked}`];
  }
  if (passage.stragglers.length === 0) return [];
  return [
    `It is recorded, and not read within ${formatDuration(policy.timeoutSeconds)} by ${nameVerifiers(passage.stragglers)}. Look whether they reach the database, or end them. ${stoppedOnesCount(policy)}`,
  ];
}
