import type { View } from '../view.js';

interface Greeting {
  host: string;
  port: number;
  isTls: boolean;
  routes: ReadonlyArray<{ method: string; path: string; purpose: string }>;
  logLevel: string;
}

/** What a server shows on a terminal when it has started, in order. */
export function greetingViews({ routes, logLevel, ...address }: Greeting): View[] {
  const fields = routes.map(({ method, path, purpose }) => [`${method.padEnd(6)} ${path}`, purpose] as const);
  return [
    textView(`Listening on ${urlOf(address)}`, ''),
    { shape: 'record', data: {}, id: [], fields },
    textView('', ...(HINTS[logLevel] ?? []), 'Press Ctrl-C to stop. Press it twice to stop at once.', ''),
  ];
}

/** What the log leaves out at a level. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  info: ['Accepted tokens are logged only at the level debug (--serve-log-level debug).'],
};

function textView(title: string, ...lines: string[]): View {
  return { shape: 'report', data: {}, id: [], sections: [{ title, lines, columns: [], rows: [] }] };
}

function urlOf({ host, port, isTls }: { host: string; port: number; isTls: boolean }): string {
  const scheme = isTls ? 'https' : 'http';
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const name = isEverywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${name}:${port}${isEverywhere ? ' and every other address of this host' : ''}`;
}
