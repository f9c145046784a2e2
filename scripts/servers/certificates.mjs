// @ts-check
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../programs.mjs';

/**
 * Makes a CA and a certificate of it for 127.0.0.1 and localhost.
 *
 * @param {import('../servers.mjs').ServerGroup} group
 * @param {string} folder an existing one
 * @returns {Promise<import('../servers.mjs').TlsFiles>}
 */
export async function makeCertificates(group, folder) {
  const openssl = requireProgram('openssl');
  const at = (/** @type {string} */ name) => join(folder, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

  await group.run(openssl, [
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=jwtctl throwaway CA'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  ]);
  await group.run(openssl, [
    ...['req', ...newKey, '-subj', '/CN=localhost'],
    ...['-keyout', at('server.key'), '-out', at('server.csr')],
  ]);
  writeFileSync(at('server.ext'), 'subjectAltName = IP:127.0.0.1, DNS:localhost\n');
  await group.run(openssl, [
    ...[
      'x509',
      '-req',
      '-in',
      at('server.csr'),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
    ],
    ...['-days', '2', '-extfile', at('server.ext'), '-out', at('server.pem')],
  ]);
  return { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key') };
}
