import type { Losses } from '../../../../domain/recovery/recover.js';
import { shortenedColumn } from '../../columns.js';
import type { JsonObject, Section, View } from '../../view.js';

const SHOWN_EVENTS = 20;

export interface RecoveryOutcome {
  outcome: 'shown' | 'reapplied' | 'accepted';
  /** Keys that were compromised again. */
  compromised: string[];
}

export function recoveryReport(
  losses: Losses,
  { outcome, compromised }: RecoveryOutcome,
  dryRun: boolean,
): View {
  const { isBehind, isBlocked, database, mark, events, outdated, keys, unverified } = losses;
  return {
    shape: 'report',
    data: {
      behind: isBehind,
      blocked: isBlocked,
      ...(dryRun ? { dryRun } : {}),
      outcome,
      database: headsData(database),
      mark: mark === null ? null : headsData(mark),
      events: events.map(eventData),
      outdated: outdated.map(eventData),
      keys: keys.map(({ kid, state, now }) => ({ kid, state, now })),
      compromised,
      unverified: {
        mark: unverified.mark,
        keys: unverified.keys,
        events: unverified.events.map(eventData),
        unreadable: unverified.unreadable,
        foreignKeys: unverified.foreignKeys,
      },
    },
    id: isBehind ? 'behind' : 'current',
    sections: [
      {
        title: titleOf(losses, outcome),
        lines: [
          `Database: revision ${database.revision}, audit row ${database.audit.seq}.`,
          mark === null
            ? 'Redis has no mark that can be verified.'
            : `Mark in Redis: revision ${mark.revision}, audit row ${mark.audit.seq}.`,
        ],
        columns: [],
        rows: [],
      },
      eventSection('Missing events', events),
      {
        title: 'Keys whose state was lost',
        columns: [shortenedColumn('kid'), 'was', 'is now'],
        rows: keys.map(({ kid, state, now }) => [kid, state, now ?? 'missing']),
      },
      eventSection('Events that are out of date and will not be applied', outdated),
      eventSection('Events that cannot be verified and will not be applied', unverified.events),
    ],
  };
}

function titleOf({ isBehind, unverified }: Losses, outcome: RecoveryOutcome['outcome']): Section['title'] {
  if (outcome === 'reapplied') return { text: 'The missing changes are applied again.', tone: 'good' };
  if (outcome === 'accepted') return { text: 'The older state of the database is accepted.', tone: 'good' };
  if (isBehind) return { text: 'The database lacks changes that Redis has recorded.', tone: 'bad' };
  return unverified.events.length > 0
    ? { text: 'The database has all changes that can be verified.', tone: 'bad' }
    : { text: 'The database has all changes that Redis has recorded.', tone: 'good' };
}

export function nothingToRecover(): View {
  return { shape: 'record', data: { behind: false }, id: 'current', fields: [['behind', 'no']] };
}

function headsData({ recoveredAt, revision, audit }: Losses['database']): JsonObject {
  return { recoveredAt, revision, auditSeq: audit.seq };
}

function eventData({
  type,
  sub,
  jti,
  kid,
  issuedBefore,
  except,
  disabledUntil,
  at,
  expiresAt,
  reason,
}: Losses['events'][number]): JsonObject {
  return {
    ...{ type, sub: sub ?? null, jti: jti ?? null, kid: kid ?? null },
    ...{ issuedBefore: issuedBefore ?? null, except: except ?? null, disabledUntil: disabledUntil ?? null },
    ...{ at, expiresAt, reason },
  };
}

function eventSection(title: string, events: Losses['events']): Section {
  const rest = events.length - SHOWN_EVENTS;
  return {
    title: `${title}: ${events.length}`,
    ...(rest > 0 ? { lines: [`The first ${SHOWN_EVENTS} are shown. Use --json to see all.`] } : {}),
    columns: [
      'type',
      shortenedColumn('sub'),
      shortenedColumn('jti'),
      shortenedColumn('kid', 1),
      shortenedColumn('reason', 2),
    ],
    rows: events
      .slice(0, SHOWN_EVENTS)
      .map(({ type, sub, jti, kid, reason }) => [type, sub ?? '-', jti ?? '-', kid ?? '-', reason ?? '-']),
  };
}
