import { pluralize } from '../../domain/shared/pluralize.js';
import { type Child, el, foreign, table } from './dom.js';
import { timeElement } from './format.js';

/** A session or token, as `GET /v1/tokens?sub=` lists it. */
interface Session {
  jti: string;
  kid: string | null;
  iat: number;
  /** Null for a session without a live access token. */
  exp: number | null;
  /** Null without a refresh token. */
  refreshExp: number | null;
  meta: Readonly<Record<string, string>> | null;
  lastSeen: number | null;
  idle: boolean;
}

/** A form that lists the live tokens of one subject. */
export function sessionSearch(): HTMLElement {
  const input = el('input', {
    id: 'subject',
    name: 'sub',
    required: '',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const result = el('div', { role: 'status', id: 'session-list' });
  const form = el(
    'form',
    { role: 'search' },
    el('label', { for: 'subject' }, 'Subject, exactly as in its tokens'),
    el('div', { class: 'search' }, input, el('button', { type: 'submit' }, 'List')),
    result,
  );
  let latest = 0;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    latest += 1;
    const own = latest;
    const view = await find(input.value).catch(() => problem('The server cannot be reached.'));
    // Answers may come in another order.
    if (own === latest) result.replaceChildren(view);
  });
  return form;
}

async function find(sub: string): Promise<HTMLElement> {
  const response = await fetch(`v1/tokens?${new URLSearchParams({ sub })}`);
  const body = await response.json();
  if (!response.ok) return problem(`${body.message ?? body.error} (${body.code})`);
  return sessionTable(body);
}

function problem(text: string): HTMLElement {
  return el('p', { class: 'bad-text' }, `✗ ${text}`);
}

function sessionTable(sessions: readonly Session[]): HTMLElement {
  if (sessions.length === 0) return el('p', { class: 'muted' }, 'No live tokens or sessions.');
  return el(
    'div',
    { class: 'wide scroll', tabindex: '0', role: 'region', 'aria-label': 'Tokens and sessions' },
    el('p', {}, pluralize(sessions.length, 'token or session', 'tokens and sessions')),
    table(
      ['jti', 'Issued', 'Expires', 'Session ends', 'Last seen'],
      sessions.map(({ jti, iat, exp, refreshExp, meta, lastSeen, idle }) => [
        withMeta(jti, meta),
        ...[iat, exp, refreshExp].map(timeCell),
        idle ? el('span', { class: 'warn-text' }, timeCell(lastSeen), ', idle') : timeCell(lastSeen),
      ]),
    ),
  );
}

function timeCell(time: number | null): Child {
  return time === null ? '–' : timeElement(time);
}

function withMeta(jti: string, meta: Session['meta']): Node {
  const cell = document.createDocumentFragment();
  cell.append(foreign(jti));
  for (const [name, value] of Object.entries(meta ?? {}))
    cell.append(el('div', { class: 'muted' }, foreign(`${name}: ${value}`)));
  return cell;
}
