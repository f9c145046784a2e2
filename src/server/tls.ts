import { readServeTls } from '../config/secrets/store-credentials.js';
import type { Settings } from '../config/settings.js';

export interface ServerTls {
  cert: string;
  key: string;
}

interface Following {
  tls: ServerTls;
  apply(tls: ServerTls): void;
  warn(text: string): void;
  stop: AbortSignal;
}

const LOOK_EVERY_MS = 5_000;

/** Calls `apply` when the files of `serve.tls` have changed, until stopped. Broken files change nothing. */
export function followTls(settings: Settings, { tls, apply, warn, stop }: Following): void {
  let current = tls;
  let lastWarning = '';
  const look = async () => {
    try {
      const read = await readServeTls(settings);
      lastWarning = '';
      if (read === null || (read.cert === current.cert && read.key === current.key)) return;
      apply(read);
      current = read;
    } catch (error) {
      // Any error: a rejection would end the server.
      const { message } = error as Error;
      if (message !== lastWarning) warn(`The old TLS certificate stays in use. ${message}`);
      lastWarning = message;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  stop.addEventListener('abort', () => clearInterval(timer), { once: true });
}
