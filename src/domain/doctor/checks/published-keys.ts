import { checkPublication } from '../../keys/publication.js';
import { isTrusted, type SigningKey } from '../../model/signing-key.js';
import { excerpt } from '../../shared/text.js';
import { type Check, type Finding, fault } from '../check.js';
import { readableKeys } from '../key-status.js';

export const publishedKeys: Check = {
  name: 'published-keys',
  title: 'The JWK Set at `keys.publishUrl` has exactly the keys of the database.',
  run: async (ports) => {
    const published = await ports.publishedKeys();
    if (published === null) return { notMade: '`keys.publishUrl` is not set.' };
    const { url } = published;
    const answers = await published.fetchAll();
    const keys = await readableKeys(ports);
    const trusted = keys.filter(({ state }) => isTrusted(state));
    const shown = { url, fetchAll: async () => answers };
    const findings: Finding[] = [];
    for (const key of trusted) {
      const { problem } = await checkPublication(shown, key);
      if (problem !== null)
        findings.push(fault(`The ${key.state} key ${key.kid} is not published: ${problem}.`, REPUBLISH));
    }
    return [
      ...findings,
      ...foreignKids(answers, trusted).map((kid) =>
        fault(
          `${url} shows the key ${excerpt(kid)}, but ${describe(keys.find((key) => key.kid === kid))}. Programs that read it accept tokens under this key.`,
          REPUBLISH,
        ),
      ),
    ];
  },
};

const REPUBLISH =
  'Run `jwtctl keys publish` for the file that the URL serves, or point the URL to `jwtctl serve`, and clear caches in between.';

function foreignKids(answers: ReadonlyArray<readonly unknown[]>, trusted: readonly SigningKey[]): string[] {
  const known = new Set(trusted.map(({ kid }) => kid));
  const kids = answers.flat().flatMap((jwk) => {
    const kid = typeof jwk === 'object' && jwk !== null ? (jwk as Record<string, unknown>).kid : undefined;
    return typeof kid === 'string' && !known.has(kid) ? [kid] : [];
  });
  return [...new Set(kids)];
}

function describe(key: SigningKey | undefined): string {
  return key === undefined ? 'the database does not have it' : `it is ${key.state}`;
}
