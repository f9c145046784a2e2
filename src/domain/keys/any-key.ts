import { identifyKeyFile, type KeyFileContent } from './key-file.js';
import { readPrivateJwks, readPublicJwks } from './private-jwk.js';
import { type KeyInFile, keyRefused } from './private-key.js';
import { readPrivatePem } from './private-pem.js';
import { readPublicPem } from './public-key.js';

/** Reads a single key, in PEM format or as a JWK. Throws like the readers of the two. */
export async function readAnyKey(
  content: KeyFileContent,
  name: string,
  isPublic: boolean,
  askPassphrase: () => Promise<string>,
): Promise<KeyInFile> {
  if (identifyKeyFile(content).kind !== 'json') {
    return isPublic ? readPublicPem(content, name) : readPrivatePem(content, name, askPassphrase);
  }
  const [key, ...more] = (await (isPublic ? readPublicJwks : readPrivateJwks)(content, name)).keys;
  if (key !== undefined && more.length === 0) return key;
  throw keyRefused('ERR_JWK_INVALID', `The key in ${name} is a JWK Set; expected a single JWK.`);
}
