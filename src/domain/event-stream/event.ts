import type { AuditDetails, AuditRow } from '../ports/index.js';
import { printableJson } from '../shared/text.js';
import { positionText } from './position.js';

export type StreamEventName =
  /** The key is in the JWK Set, and does not sign yet, or never. */
  | 'key.published'
  /** The key signs now. */
  | 'key.activated'
  /** The key no longer signs, and still verifies. */
  | 'key.retiring'
  | 'key.retired'
  | 'key.compromised'
  | 'key.purged'
  /** The private key was exported. */
  | 'key.exported'
  | 'token.revoked'
  /** The refresh token was used before, or its user is gone. Its session has ended. */
  | 'refresh.refused'
  | 'user.disabled'
  | 'user.enabled'
  | 'user.removed';

/** Printed as it is, so it names each member, and none is a secret. */
export type StreamEvent = EventDetails & {
  /** Where to continue after this event. */
  position: string;
  at: number;
  event: StreamEventName;
  actor: string;
  /** What the audit log calls it: `keys.rotate`, for example. */
  action: string;
  reason: string | null;
};

type EventDetails = { [Name in keyof AuditDetails]: NonNullable<AuditDetails[Name]> };

/** Returns the event as a line of NDJSON. */
export function eventLine(event: StreamEvent): string {
  return `${printableJson(JSON.stringify(event))}\n`;
}

/** Returns null for a row that is no event. */
export function eventOf(row: AuditRow): StreamEvent | null {
  const { at, actor, action, reason } = row;
  const isKey = action.startsWith('keys.');
  const event = isKey ? KEY_EVENTS.get(row.outcome) : EVENTS.get(action);
  if (event === undefined) return null;
  return { position: positionText(row), at, event, ...detailsOf(row, isKey), actor, action, reason };
}

const EVENTS: ReadonlyMap<string, StreamEventName> = new Map([
  ['token.revoke', 'token.revoked'],
  ['token.refresh', 'refresh.refused'],
  ['users.disable', 'user.disabled'],
  ['users.enable', 'user.enabled'],
  ['users.remove', 'user.removed'],
]);

/** By the outcome, because a rotation, for example, changes several keys. */
const KEY_EVENTS: ReadonlyMap<string, StreamEventName> = new Map([
  ['pending', 'key.published'],
  ['verify-only', 'key.published'],
  ['active', 'key.activated'],
  ['retiring', 'key.retiring'],
  ['retired', 'key.retired'],
  ['compromised', 'key.compromised'],
  ['removed', 'key.purged'],
  ['private', 'key.exported'],
]);

function detailsOf({ target, action, details = null }: AuditRow, isKey: boolean): EventDetails {
  if (details !== null) return parseDetails(details);
  if (isKey) return { kid: target };
  // Rows about tokens that an earlier version wrote do not say what they name.
  return action.startsWith('users.') ? { sub: target } : {};
}

const DETAILS = ['sub', 'jti', 'session', 'kid', 'issuedBefore', 'except', 'disabledUntil'] as const;

/** Another program may have written anything. */
function parseDetails(text: string): EventDetails {
  try {
    const found: Record<string, unknown> = Object(JSON.parse(text));
    const isValue = (value: unknown) => typeof value === 'string' || typeof value === 'number';
    return Object.fromEntries(
      DETAILS.filter((name) => isValue(found[name])).map((name) => [name, found[name]]),
    );
  } catch {
    return {};
  }
}
