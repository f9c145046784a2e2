/** Flags of other programs, by what to do instead. Names without dashes. */
const ADVICE: ReadonlyArray<readonly [names: string, advice: string]> = [
  [
    'use key-use key-ops kty key-type',
    'jwtctl creates only RSA signing keys (`use` is `sig`), so no flag is needed.',
  ],
  [
    'ssl ssl-mode skip-ssl tls mysql-ssl mysql-ssl-mode mysql-tls redis-tls redis-ssl',
    'Turn on TLS in the address: mysql://…?ssl-mode=REQUIRED in mysql.url, and rediss:// in redis.nodes.',
  ],
  [
    'ssl-ca ssl-capath ssl-cert ssl-key ssl-verify-server-cert cacert cert tls-ca tls-cert mysql-ssl-ca redis-cacert insecure tls-skip-verify skip-verify no-verify',
    'jwtctl always checks the certificate of a server. Set mysql.tls.ca or redis.tls.ca to the PEM file of its CA.',
  ],
  [
    'u p P S D a host port user socket protocol database password pass askpass defaults-file defaults-extra-file login-path url uri mysql-host mysql-port mysql-user mysql-database mysql-socket redis-host redis-port redis-user redis-password',
    'Set mysql.url to mysql://user@host/database, redis.nodes to host:port,…, and mysql.passwordFile or redis.passwordFile to a file with the password.',
  ],
  [
    'secret jwt-secret secret-key shared-secret hmac hmac-secret',
    'jwtctl signs with the RSA keys in its store, not with a shared secret.',
  ],
  [
    'key jwks jwk pem public-key pubkey cert-file',
    'jwtctl verifies and signs with the keys in its store. `jwtctl keys import` adds one.',
  ],
];

const BY_NAME = new Map(ADVICE.flatMap(([names, advice]) => names.split(' ').map((name) => [name, advice])));

/** @param flag with its dashes, as typed; after a single dash, a password may follow the letter (`-psecret`) */
export function adviceOn(flag: string): string | null {
  const [, long, letter = ''] = /^(?:--([^=]+)|-([A-Za-z]))/.exec(flag) ?? [];
  return BY_NAME.get(long?.replaceAll('_', '-').toLowerCase() ?? letter) ?? null;
}

/** Returns the flag without a value that it may contain. */
export function shownFlag(flag: string): string {
  return /^-[ap]./.test(flag) ? `${flag.slice(0, 2)}…` : flag;
}
