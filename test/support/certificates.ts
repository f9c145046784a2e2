import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './cli.js';

export interface CertificateFiles {
  cert: string;
  key: string;
}

export interface CertificateAuthority {
  /** Name of the PEM file. */
  file: string;
  /** @param names in openssl's syntax: `DNS:localhost, IP:127.0.0.1`; none for a client */
  issue(options?: { names?: string; from?: Date; until?: Date }): CertificateFiles;
}

const PROGRAM = 'openssl';
const DAY_MS = 86_400_000;
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Creates a CA that can issue certificates with any names and validity period. */
export function makeCertificateAuthority(name: string): CertificateAuthority {
  const folder = temporaryFolder();
  const at = (file: string) => join(folder, file);
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  writeFileSync(at('index.txt'), '');
  writeFileSync(at('index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(at('serial'), '01\n');
  writeFileSync(
    at('ca.cnf'),
    `[ca]\ndefault_ca = own\n[own]\ndatabase = ${at('index.txt')}\nserial = ${at('serial')}\nnew_certs_dir = ${folder}
default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n`,
  );
  let issued = 0;
  const issue: CertificateAuthority['issue'] = ({
    names,
    from = new Date(Date.now() - DAY_MS),
    until = new Date(Date.now() + DAY_MS),
  } = {}) => {
    issued += 1;
    const [key, csr, ext, cert] = ['key', 'csr', 'ext', 'pem'].map((end) => at(`${issued}.${end}`)) as [
      ...[string, string, string, string],
    ];
    openssl('req', ...NEW_KEY, '-subj', `/CN=${name} ${issued}`, '-keyout', key, '-out', csr);
    const usage = 'basicConstraints = CA:FALSE';
    writeFileSync(ext, names === undefined ? `${usage}\n` : `${usage}\nsubjectAltName = ${names}\n`);
    const dates = ['-startdate', asn1(from), '-enddate', asn1(until)];
    const files = [
      '-cert',
      at('ca.pem'),
      '-keyfile',
      at('ca.key'),
      '-in',
      csr,
      '-out',
      cert,
      '-extfile',
      ext,
    ];
    openssl('ca', '-batch', '-notext', '-config', at('ca.cnf'), ...files, ...dates);
    return { cert, key };
  };
  return { file: at('ca.pem'), issue };
}

/** Replaces the certificate that a server reads. */
export function replaceCertificate(target: CertificateFiles, source: CertificateFiles): void {
  writeFileSync(target.cert, readFileSync(source.cert));
  writeFileSync(target.key, readFileSync(source.key));
}

/** Formats a time as ASN.1 GeneralizedTime: `20261129120000Z`. */
function asn1(date: Date): string {
  return `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
}

export function openssl(...words: string[]): void {
  execFileSync(PROGRAM, words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
