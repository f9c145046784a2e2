import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkTlsMaterial } from '../../../src/config/secrets/tls-files.js';
import { openssl } from '../../support/certificates.js';
import { temporaryFolder } from '../../support/cli.js';

test('names a certificate whose key OpenSSL refuses as too short', () => {
  const folder = temporaryFolder();
  const files = { ca: null, cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const newKey = ['-newkey', 'rsa:512', '-nodes', '-keyout', files.key, '-out', files.cert];
  openssl('req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=localhost');
  const material = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key, 'utf8') };
  expect(() => checkTlsMaterial('serve', files, material)).toThrow(
    expect.objectContaining({
      ...{ code: 'ERR_TLS_FILE_INVALID', kind: 'usage' },
      message: expect.stringMatching(/cert\.pem \(serve\.tls\.cert\) cannot be used for TLS \(.*too small\)/),
    }),
  );
});
