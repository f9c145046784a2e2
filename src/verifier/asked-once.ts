import type {
  KeyStore,
  SecurityLog,
  TokenStatusReader,
  UserDirectory,
  UserStatusCache,
} from '../domain/ports/index.js';

/** What {@link storeVerification} asks. */
export interface AskedStores {
  keys: Pick<KeyStore, 'snapshot'>;
  securityLog: Pick<SecurityLog, 'findConcerning' | 'findNaming'>;
  users: Pick<UserDirectory, 'find'>;
  registry: Pick<TokenStatusReader, 'tokenStatus' | 'findLegacyEntry'> & UserStatusCache;
}

/** Asks each question once, so that all answers about one token agree. Writes nothing. */
export function askedOnce({ keys, securityLog, users, registry }: AskedStores): AskedStores {
  const snapshot = once(
    () => keys.snapshot(),
    () => '',
  );
  const findConcerning = once(
    (token: Parameters<SecurityLog['findConcerning']>[0]) => securityLog.findConcerning(token),
    ({ sub, jti, kid }) => JSON.stringify([sub, jti, kid]),
  );
  return {
    keys: { snapshot: () => snapshot(undefined) },
    securityLog: { findConcerning, findNaming: (tokens) => securityLog.findNaming(tokens) },
    users: {
      find: once(
        (sub: string) => users.find(sub),
        (sub) => sub,
      ),
    },
    registry: {
      tokenStatus: (sub, entry, now) => registry.tokenStatus(sub, entry, now),
      findLegacyEntry: (sub, id) => registry.findLegacyEntry(sub, id),
      setUserStatus: async () => null,
    },
  };
}

/** @param nameOf returns the same text for the same question */
function once<Question, Answer>(
  ask: (question: Question) => Promise<Answer>,
  nameOf: (question: Question) => string,
): (question: Question) => Promise<Answer> {
  const answers = new Map<string, Promise<Answer>>();
  return (question) => {
    const name = nameOf(question);
    const answer = answers.get(name) ?? ask(question);
    answers.set(name, answer);
    return answer;
  };
}
