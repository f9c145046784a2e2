import type { Counts, Report, ShownEvent } from '../page-data.js';
import { byId, el, section } from './dom.js';
import { verifierTable } from './fleet.js';
import { timeElement, timeOfDay } from './format.js';
import { latencyView } from './latency.js';
import { pageFrame, reportDetails, reportHeadline } from './report.js';
import { revocationList } from './revocations.js';
import { sessionSearch } from './sessions.js';
import { Verdicts } from './verdicts.js';

/** The dashboard: the page of a file, and what happens now. Each part has a place that is filled when it is known. */
export function showLive(version: string): void {
  const connection = el('p', { class: 'muted', role: 'status', id: 'connection' }, 'Connecting …');
  const places = {
    headline: el('div', { class: 'stack' }, el('p', { class: 'card muted' }, 'Reading the registry …')),
    latency: el('div'),
    fleet: el('div'),
    revocations: el('div'),
    details: el('div', { class: 'stack' }),
  };
  const verdicts = new Verdicts();
  byId('page').replaceChildren(
    ...pageFrame(version, connection, [
      places.headline,
      el(
        'div',
        { class: 'columns' },
        section('verdicts', 'Verifications', verdicts.element),
        section('latency', 'Latency', places.latency),
      ),
      el(
        'div',
        { class: 'columns' },
        section('revocations', 'Revocations', places.revocations),
        el(
          'div',
          {},
          section('sessions', 'Sessions of a subject', sessionSearch()),
          section('fleet', 'Running verifiers', places.fleet),
        ),
      ),
      places.details,
    ]),
  );

  let shown: Report | null = null;
  const events: ShownEvent[] = [];
  const handlers = new Map<string, (data: never) => void>();
  const on = <Data>(name: string, handle: (data: Data) => void) => handlers.set(name, handle);
  on<Counts>('counts', (counts) => {
    connection.replaceChildren(
      counts.ready ? 'Live, ' : el('strong', { class: 'bad-text' }, '✗ Not ready, '),
      timeElement(counts.at, new Date(counts.at * 1000).toLocaleTimeString()),
    );
    verdicts.add(counts);
    places.latency.replaceChildren(...latencyView(verdicts.recentLatency()));
    places.fleet.replaceChildren(verifierTable(counts.verifiers, counts.at));
  });
  on<Report>('report', (report) => {
    if (shown?.at === report.at) return;
    shown = report;
    places.headline.replaceChildren(
      ...reportHeadline(report),
      el(
        'p',
        { class: 'muted' },
        'The registry was read at ',
        timeElement(report.at, timeOfDay(report.at)),
        '.',
      ),
    );
    places.details.replaceChildren(...reportDetails(report));
  });
  on<{ code: string }>('failure', ({ code }) => {
    const text = `The registry could not be read (${code}).`;
    const old = shown === null ? '' : ' The numbers below are out of date.';
    places.headline.replaceChildren(
      el('p', { class: 'card bad', role: 'alert' }, `✗ ${text}${old}`),
      ...(shown === null ? [] : reportHeadline(shown)),
    );
    shown = shown && { ...shown, at: 0 };
  });
  on<ShownEvent[]>('events', (more) => {
    for (const event of more)
      if (events.every(({ id, at }) => id !== event.id || at !== event.at)) events.push(event);
    events.sort((a, b) => b.id - a.id).splice(MOST_EVENTS);
    places.revocations.replaceChildren(revocationList(events));
  });
  const connect = () => {
    const source = new EventSource('dashboard/events');
    for (const [name, handle] of handlers)
      source.addEventListener(name, ({ data }) => handle(JSON.parse(data) as never));
    source.addEventListener('error', () => {
      const text = '! Disconnected. Reconnecting …';
      connection.replaceChildren(el('strong', { class: 'bad-text' }, text));
      // Without an answer, the browser connects again by itself; after an answer such as 503, it does not.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
    });
  };
  connect();
}

const RECONNECT_MS = 5_000;
const MOST_EVENTS = 50;
