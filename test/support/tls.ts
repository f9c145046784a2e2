import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type { CertificateAuthority, CertificateFiles } from './certificates.js';
import { cli, temporaryFolder } from './cli.js';
import { resolveNames } from './names.js';
import { startForwardingProxy } from './proxies/forwarding-proxy.js';

const DAY_MS = 86_400_000;

export type TlsFiles = Partial<Record<'ENABLED' | 'CA' | 'CERT' | 'KEY', string>>;

export interface Way {
  host?: string;
  port?: number;
  user?: string;
  tls?: TlsFiles;
}

export interface Connected {
  exitCode: number;
  code: string | null;
  text: string;
}

export interface TlsStore {
  name: 'mysql' | 'redis';
  /** The setting with the server's address. */
  address: string;
  /** Called in tests, because hooks start the server and create the CAs. */
  started(): {
    server: { host: string; port: number };
    ca: CertificateAuthority;
    otherCa: CertificateAuthority;
  };
  present(files: CertificateFiles): Promise<void>;
  connect(way?: Way): Promise<Connected>;
  /** Connects to a server that asks for a client certificate. */
  connectAsClient(tls: TlsFiles): Promise<Connected>;
}

export function tlsVariables(name: TlsStore['name'], tls: TlsFiles): Record<string, string> {
  const prefix = `JWTCTL_${name.toUpperCase()}_TLS_`;
  return Object.fromEntries(Object.entries(tls).map(([file, value]) => [`${prefix}${file}`, value]));
}

export async function outcomeOf(env: Record<string, string>, ...words: string[]): Promise<Connected> {
  const { exitCode, stdout, stderr } = await cli({ env }).run(...words, '--json');
  if (stdout !== '') return { exitCode, code: null, text: '' };
  const { code, message, hint } = JSON.parse(stderr).error;
  return { exitCode, code, text: `${message} ${hint}` };
}

export const isAccepted = { exitCode: 0, code: null };

export function isRefused({ name }: Pick<TlsStore, 'name'>, text: RegExp) {
  return { exitCode: 4, code: `ERR_${name.toUpperCase()}_TLS`, text: expect.stringMatching(text) };
}

export function clientFiles(
  ca: CertificateAuthority,
  issuer: CertificateAuthority,
  dates: { from?: Date; until?: Date } = {},
): { CA: string; CERT: string; KEY: string } {
  const { cert, key } = issuer.issue(dates);
  return { CA: ca.file, CERT: cert, KEY: key };
}

export function testServerCertificate(store: TlsStore): void {
  const { name, address, started, present, connect } = store;
  const refused = (text: RegExp) => isRefused(store, text);

  test('for an IPv4 address is accepted only for that address', async () => {
    await present(started().ca.issue({ names: 'IP:127.0.0.1' }));
    expect(await connect()).toMatchObject(isAccepted);
    expect(await connect({ host: 'localhost' })).toMatchObject(
      refused(/for 127\.0\.0\.1, not for localhost/),
    );
  });

  test('for localhost is refused for an IP address', async () => {
    await present(started().ca.issue({ names: 'DNS:localhost' }));
    const named = new RegExp(`for localhost, not for 127\\.0\\.0\\.1.*${escaped(address)}`);
    expect(await connect()).toMatchObject(refused(named));
    expect(await connect({ host: 'localhost' })).toMatchObject(isAccepted);
  });

  test('for an IPv6 address is accepted only for that address', async () => {
    const { server, ca } = started();
    const proxy = await startForwardingProxy('::1', server);
    try {
      const reached = { host: '[::1]', port: proxy.port };
      await present(ca.issue({ names: 'IP:::1' }));
      expect(await connect(reached)).toMatchObject(isAccepted);
      expect(await connect()).toMatchObject(refused(/not for 127\.0\.0\.1/));
      await present(ca.issue({ names: 'DNS:localhost, IP:127.0.0.1' }));
      expect(await connect(reached)).toMatchObject(refused(/for localhost, 127\.0\.0\.1, not for ::1/));
    } finally {
      await proxy.stop();
    }
  });

  test('with a wildcard is accepted for one label', async () => {
    const restore = resolveNames('.example.test', '127.0.0.1');
    try {
      await present(started().ca.issue({ names: 'DNS:*.example.test' }));
      expect(await connect({ host: 'db.example.test' })).toMatchObject(isAccepted);
      for (const host of ['a.db.example.test', '127.0.0.1']) {
        expect(await connect({ host })).toMatchObject(refused(/for \*\.example\.test, not for/));
      }
    } finally {
      restore();
    }
  });

  test('that has expired or is not valid yet is refused with that reason', async () => {
    const { ca } = started();
    const names = 'IP:127.0.0.1';
    const [past, future] = [new Date(Date.now() - DAY_MS), new Date(Date.now() + DAY_MS)];
    await present(ca.issue({ names, from: new Date(past.getTime() - DAY_MS), until: past }));
    expect(await connect()).toMatchObject(refused(/has expired/));
    await present(ca.issue({ names, from: future, until: new Date(future.getTime() + DAY_MS) }));
    expect(await connect()).toMatchObject(refused(/is not valid yet/));
  });

  test('from another CA is refused with that reason', async () => {
    const { ca, otherCa } = started();
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    const untrusted = refused(new RegExp(`not issued by a trusted CA.*${name}\\.tls\\.ca`));
    expect(await connect({ tls: { CA: otherCa.file } })).toMatchObject(untrusted);
    expect(await connect({ tls: { ENABLED: 'true' } })).toMatchObject(untrusted);
  });

  test('is checked although NODE_TLS_REJECT_UNAUTHORIZED is 0', async () => {
    const { ca, otherCa } = started();
    await present(ca.issue({ names: 'IP:127.0.0.1' }));
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      expect(await connect({ tls: { CA: otherCa.file } })).toMatchObject(
        refused(/not issued by a trusted CA/),
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });
}

export function testClientCertificate(store: TlsStore): void {
  const { name, started, connectAsClient } = store;

  test('from another CA, expired, or not valid yet is refused with that reason', async () => {
    const { ca, otherCa } = started();
    expect(await connectAsClient(clientFiles(ca, otherCa))).toMatchObject(
      isRefused(store, new RegExp(`client certificate.*${name}\\.tls\\.cert`)),
    );
    const past = { from: new Date(Date.now() - 2 * DAY_MS), until: new Date(Date.now() - DAY_MS) };
    expect(await connectAsClient(clientFiles(ca, ca, past))).toMatchObject(
      isRefused(store, /client certificate.*expired/),
    );
    const future = { from: new Date(Date.now() + DAY_MS), until: new Date(Date.now() + 2 * DAY_MS) };
    expect(await connectAsClient(clientFiles(ca, ca, future))).toMatchObject(
      isRefused(store, /client certificate.*not valid yet/),
    );
  });

  describe('that cannot be used', () => {
    test.each([
      ['another key', 'KEY', /does not match.*\.tls\.cert/],
      ['a CA that is no PEM', 'CA', /\.tls\.ca\) contains no PEM certificate/],
      ['a certificate that is no PEM', 'CERT', /\.tls\.cert\) contains no PEM certificate/],
      ['a key that is no PEM', 'KEY', /\.tls\.key\) contains no PEM private key/],
    ] as const)('because of %s is a configuration error', async (what, file, named) => {
      const { ca } = started();
      const files = clientFiles(ca, ca);
      files[file] = what === 'another key' ? ca.issue().key : noPem();
      expect(await connectAsClient(files)).toMatchObject({
        ...{ exitCode: 2, code: 'ERR_TLS_FILE_INVALID' },
        text: expect.stringMatching(new RegExp(named.source.replace('\\.tls', `${name}\\.tls`))),
      });
    });
  });
}

function noPem(): string {
  const file = join(temporaryFolder(), 'none.pem');
  writeFileSync(file, 'no PEM\n');
  return file;
}

function escaped(text: string): string {
  return text.replaceAll('.', '\\.');
}
