import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { TlsMaterial } from '../../domain/shared/credentials.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { fileNameShown } from '../../domain/shared/text.js';
import type { Settings } from '../settings.js';
import { readConfigured } from './secret-files.js';

type Member = keyof TlsMaterial;

interface NamedFile {
  file: string;
  setting: string;
}

/** OpenSSL's errors do not name the file. */
export function checkTlsMaterial(
  group: 'mysql' | 'redis' | 'serve',
  files: Readonly<Record<Member, string | null>>,
  { ca, cert, key }: TlsMaterial,
): void {
  const named = (member: Member) => ({ file: String(files[member]), setting: `${group}.tls.${member}` });
  const invalid = (member: Member, problem: string, hint: string, cause?: unknown) =>
    invalidFile(named(member), problem, hint, cause);

  if (ca !== undefined) certificatesIn(named('ca'), ca);
  const [own] = cert === undefined ? [] : certificatesIn(named('cert'), cert);
  if (key === undefined) return;
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    const problem = /^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(key)
      ? 'contains an encrypted private key'
      : 'contains no PEM private key';
    throw invalid(
      'key',
      problem,
      'Use an unencrypted private key in a PEM file (-----BEGIN PRIVATE KEY-----).',
      error,
    );
  }
  if (own?.checkPrivateKey(privateKey) === false) {
    throw invalid(
      'key',
      `contains a key that does not match the certificate in ${group}.tls.cert`,
      `Set ${group}.tls.cert and ${group}.tls.key to a matching pair.`,
    );
  }
  try {
    // OpenSSL also refuses what is well-formed, such as a key that is too short, and a chain that is cut off.
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid('cert', `cannot be used for TLS (${reason})`, CERTIFICATE_HINT, error);
  }
}

/**
 * Parses the certificates in a PEM file.
 * @throws JwtctlError `ERR_TLS_FILE_INVALID` (usage) if there is none: Node would read it as an empty CA list
 */
function certificatesIn(named: NamedFile, pem: string): X509Certificate[] {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw invalidFile(named, 'contains no PEM certificate', CERTIFICATE_HINT);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw invalidFile(named, 'contains a certificate that cannot be read', CERTIFICATE_HINT, error);
  }
}

/** Returns undefined without `keys.publishCa`. */
export async function readPublishCa({ keys: { publishCa } }: Settings): Promise<string | undefined> {
  if (publishCa === null) return undefined;
  const setting = 'keys.publishCa';
  const ca = await readConfigured(publishCa, { setting });
  certificatesIn({ file: publishCa, setting }, ca);
  return ca;
}

function invalidFile(
  { file, setting }: NamedFile,
  problem: string,
  hint: string,
  cause?: unknown,
): JwtctlError {
  const message = `The file ${fileNameShown(file)} (${setting}) ${problem}.`;
  return new JwtctlError('ERR_TLS_FILE_INVALID', message, { hint, details: { setting, file }, cause });
}

const CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const CERTIFICATE_HINT = 'Use a PEM file (-----BEGIN CERTIFICATE-----).';
