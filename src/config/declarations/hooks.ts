import { duration, text } from '../setting-kinds.js';
import type { Declaration } from './declaration.js';

/** Programs that jwtctl runs. */
export const HOOKS_SETTINGS = {
  'hooks.command': {
    kind: text,
    class: 'command',
    masked: true,
    doc: 'Command that gets events on standard input, as NDJSON. /bin/sh runs it, and its output is discarded. If it exits with 0, the events count as delivered. Otherwise, they are delivered again. jwtctl serve runs it, and so does `jwtctl events deliver`.',
  },
  'hooks.timeout': {
    kind: duration(3600),
    fallback: '30s',
    doc: 'Time limit for hooks.command.',
  },
} as const satisfies Record<string, Declaration>;
