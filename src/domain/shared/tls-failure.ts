import { X509Certificate } from 'node:crypto';
import type { TlsMaterial } from './credentials.js';

export interface TlsPeer {
  /** Its name in messages: `MySQL at db.example.com:3306`. */
  readonly server: string;
  /** The name or address that the certificate must contain. */
  readonly host: string;
  /** The group of settings, as in `mysql.tls.ca`. */
  readonly group: 'mysql' | 'redis';
  readonly tls: TlsMaterial;
}

export interface TlsFailure {
  readonly message: string;
  readonly hint: string;
}

/** Explains a TLS failure by its code from Node or, for an alert, from OpenSSL. Null for other errors. */
export function describeTlsFailure(error: unknown, peer: TlsPeer): TlsFailure | null {
  const code = codeOf(error);
  const { server, host, group } = peer;
  const certificate = `The certificate of ${server}`;
  const address = group === 'mysql' ? 'mysql.url' : 'redis.nodes';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = namesIn(error);
    if (names.includes(host)) {
      return {
        message: `${certificate} has ${host} as a host name, not as an IP address.`,
        hint: `Issue the certificate with the subjectAltName IP:${host}, or use a host name from it in ${address}.`,
      };
    }
    const map = ', or map the address that the cluster announces to such a name in redis.natMap';
    return {
      message: `${certificate} is for ${listed(names)}, not for ${host}.`,
      hint: `Use a name from the certificate in ${address}${group === 'redis' ? map : ''}.`,
    };
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      message: `${certificate} has expired.`,
      hint: `Renew the certificate on the server, or check ${group}.tls.ca and the clock of this host.`,
    };
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return {
      message: `${certificate} is not valid yet.`,
      hint: `Check the clock of this host, the certificate on the server, and ${group}.tls.ca.`,
    };
  }
  if (code === 'INVALID_PURPOSE') {
    return {
      message: `${certificate} is not a server certificate (${code}).`,
      hint: 'Issue the certificate with the extendedKeyUsage serverAuth, or without an extendedKeyUsage.',
    };
  }
  if (isUntrusted(error)) {
    return {
      message: `${certificate} was not issued by a trusted CA (${code}).`,
      hint: `Set ${group}.tls.ca to the PEM file of the CA that issued the certificate.`,
    };
  }
  if (
    code === 'HANDSHAKE_NO_SSL_SUPPORT' ||
    /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code)
  ) {
    return {
      message: `${server} does not use TLS.`,
      hint: `Enable TLS on the server, check ${address}, or remove the ${group}.tls settings.`,
    };
  }
  return describeAlert(code, peer) ?? describeOther(code, peer);
}

/** Whether the certificate was not issued by a CA that this host trusts. */
export function isUntrusted(error: unknown): boolean {
  return UNTRUSTED.has(codeOf(error));
}

/** For a connection that closed after the handshake: servers reject a client certificate without a reason. */
export function describeClientCertificate({ server, group, tls }: TlsPeer): TlsFailure | null {
  if (tls.cert === undefined) {
    return {
      message: `${server} closed the TLS connection before the login.`,
      hint: `If the server requires a client certificate, set ${group}.tls.cert and ${group}.tls.key.`,
    };
  }
  return {
    message: `${server} closed the TLS connection before the login${isOutdated(tls.cert) ? ': the client certificate has expired or is not valid yet' : ''}.`,
    hint: `Check that the server accepts the client certificate in ${group}.tls.cert.`,
  };
}

/** Compares suffixes: the prefix is SSLV3_ALERT_ in OpenSSL 3.0, and SSL/TLS_ALERT_ in 3.2. */
function describeAlert(code: string, { server, group, tls }: TlsPeer): TlsFailure | null {
  const alert = /^ERR_SSL_.*_ALERT_(.+)$/.exec(code)?.[1];
  if (alert === undefined) return null;
  const asked = `Set ${group}.tls.cert and ${group}.tls.key to a certificate that the server accepts.`;
  if (tls.cert === undefined && /^(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE)$/.test(alert)) {
    return { message: `${server} requires a client certificate (${code}).`, hint: asked };
  }
  if (tls.cert === undefined || CLIENT_CERTIFICATE_ALERTS[alert] === undefined) return null;
  // Servers report a certificate that is not valid yet as "bad".
  const reason = isOutdated(tls.cert) ? OUTDATED : CLIENT_CERTIFICATE_ALERTS[alert];
  return {
    message: `${server} refuses the client certificate in ${group}.tls.cert: ${reason} (${code}).`,
    hint: asked,
  };
}

function describeOther(code: string, { server, group }: TlsPeer): TlsFailure | null {
  if (!/^(ERR_SSL_|ERR_TLS_|ERR_OSSL_|CERT_|CRL_)/.test(code) && !OTHER_VERIFICATION_FAILURES.has(code))
    return null;
  return {
    message: `The TLS connection to ${server} failed (${code}).`,
    hint: `Check the ${group}.tls settings, and the certificate and TLS versions of the server.`,
  };
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
]);

const OUTDATED = 'it has expired or is not valid yet';

const CLIENT_CERTIFICATE_ALERTS: Record<string, string> = {
  UNKNOWN_CA: 'the server does not trust the CA that issued it',
  CERTIFICATE_EXPIRED: OUTDATED,
  CERTIFICATE_REVOKED: 'it has been revoked',
  BAD_CERTIFICATE: 'it cannot be verified',
  UNSUPPORTED_CERTIFICATE: 'it is not a client certificate',
  CERTIFICATE_UNKNOWN: 'it cannot be verified',
};

/** Node's names of X509_V_ERR_… codes, which have no common prefix. */
const OTHER_VERIFICATION_FAILURES = new Set([
  'PATH_LENGTH_EXCEEDED',
  'HOSTNAME_MISMATCH',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]);

/** The common name counts only if there are no other names (RFC 6125 §6.4.4). */
function namesIn(error: unknown): string[] {
  const { cert } = error as { cert?: { subjectaltname?: string; subject?: { CN?: string | string[] } } };
  const names = (cert?.subjectaltname ?? '').split(', ').filter((name) => /^(DNS|IP Address):/.test(name));
  const shown = names.map((name) => name.slice(name.indexOf(':') + 1));
  if (shown.length === 0) shown.push(...[cert?.subject?.CN ?? []].flat());
  return shown;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'no host' : `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`;
}

function isOutdated(pem: string): boolean {
  try {
    const { validFrom, validTo } = new X509Certificate(pem);
    return Date.now() < Date.parse(validFrom) || Date.now() > Date.parse(validTo);
  } catch {
    return false;
  }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}
