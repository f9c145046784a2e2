import type { ShownEvent } from '../page-data.js';
import { type Child, el, foreign } from './dom.js';
import { localTime, timeElement } from './format.js';

/** @param events newest first */
export function revocationList(events: readonly ShownEvent[]): HTMLElement {
  if (events.length === 0) return el('p', { class: 'muted' }, 'None yet. They appear here as they happen.');
  return el(
    'ul',
    { class: 'events scroll', 'aria-live': 'polite' },
    ...events.map((event) =>
      el(
        'li',
        { class: 'event' },
        el('span', { class: 'muted' }, timeElement(event.at), ' '),
        ...what(event),
        event.reason === null ? null : el('span', { class: 'muted' }, ' – ', el('bdi', {}, event.reason)),
      ),
    ),
  );
}

function what({ type, sub, jti, kid, issuedBefore }: ShownEvent): Child[] {
  const user = foreign(sub ?? '');
  const before = issuedBefore === null ? '' : ` issued until ${localTime(issuedBefore)}`;
  switch (type) {
    case 'token_revoked':
      return ['Token ', foreign(jti ?? ''), ' of ', user, ' was revoked.'];
    case 'family_revoked':
      return ['Session ', foreign(jti ?? ''), ' of ', user, ' was ended.'];
    case 'subject_revoked':
      return ['All tokens of ', user, `${before} were revoked.`];
    case 'kid_revoked':
      return ['All tokens under key ', foreign(kid ?? ''), `${before} were revoked.`];
    case 'all_revoked':
      return [`All tokens${before} were revoked.`];
    case 'key_compromised':
      return [el('strong', { class: 'bad-text' }, '✗ Key '), foreign(kid ?? ''), ' is compromised.'];
    case 'user_disabled':
      return ['User ', user, ' was disabled.'];
    case 'user_enabled':
      return ['User ', user, ' was enabled.'];
    case 'user_removed':
      return ['User ', user, ' was removed.'];
    case 'user_refreshed':
      return ['User ', user, ' was read again.'];
  }
}
