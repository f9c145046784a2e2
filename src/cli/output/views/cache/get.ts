import { isTrusted } from '../../../../domain/model/signing-key.js';
import type { FoundEntry } from '../../../../domain/registry/find-entry.js';
import { isoTime, relativeTime } from '../../time.js';
import type { Cell, View } from '../../view.js';
import { metaText } from '../tokens.js';
import { cachedUserText } from './cached-user.js';

export function registryEntry(found: FoundEntry, now: number): View {
  const { sub, jti, kid, state, iat, exp, meta, node, userStatus, cachedUser } = found;
  const user: Cell = userStatus === 'enabled' ? userStatus : { text: userStatus, tone: 'bad' };
  const cached = cachedUser === null ? '-' : cachedUserText(cachedUser, now);
  return {
    shape: 'record',
    id: jti,
    data: {
      ...{ sub, jti, kid, state, iat, exp },
      // Within the clock tolerance an entry outlives its token.
      ttlSeconds: Math.max(0, exp - now),
      ...{ meta, node, userStatus },
      cachedUser:
        cachedUser === null
          ? null
          : { status: cachedUser.status, version: cachedUser.version, until: cachedUser.until },
    },
    fields: [
      ['sub', sub],
      ['jti', jti],
      ['kid', kid ?? { text: '(unknown)', tone: 'bad' }],
      [
        'key state',
        state !== null && isTrusted(state) ? state : { text: state ?? 'not in the key store', tone: 'bad' },
      ],
      ['issued', `${relativeTime(iat, now)} (${isoTime(iat)})`],
      ['expires', `${relativeTime(exp, now)} (${isoTime(exp)})`],
      ['meta', metaText(meta)],
      ['node', node],
      ['user status', user],
      ['cached status', cached],
    ],
  };
}
