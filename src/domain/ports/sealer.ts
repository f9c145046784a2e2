/** Seals private keys under the master keyring. */
export interface Sealer {
  seal(kid: string, pkcs8: Uint8Array): Promise<SealedPrivateKey>;
  /** Fails as {@link seal} would, for a dry run. Creates no keyring. */
  assertSeals(): Promise<void>;
  /**
   * @throws JwtctlError (state) `ERR_MASTER_KEY_UNKNOWN` if the keyring lacks the master key named in the
   * JWE, `ERR_DECRYPTION_FAILED` if the JWE cannot be decrypted or was sealed for another kid
   */
  open(kid: string, sealed: string): Promise<Uint8Array>;
  sealingKeyId(): Promise<string>;
  /** Returns the id of the master key named in a JWE. @throws JwtctlError `ERR_DECRYPTION_FAILED` (state) */
  openingKeyId(kid: string, sealed: string): string;
}

export interface SealedPrivateKey {
  /** JWE in Compact Serialization. */
  sealed: string;
  masterKeyId: string;
}

/** Seals the content encryption key of one file under the master keyring, bound to that file. */
export interface ContentKeySealer {
  /** Returns a JWE in Compact Serialization. `file` must be unique. */
  sealContentKey(file: string, contentKey: Uint8Array): Promise<string>;
  /** @throws JwtctlError (state) as {@link Sealer.open} does */
  openContentKey(file: string, sealed: string): Promise<Uint8Array>;
}

/** Encrypts and authenticates the contents of refresh tokens under the master keyring. */
export interface RefreshTokenSealer {
  /** Returns the same token for the same contents, on every host with the same first line of the keyring. */
  seal(contents: string): Promise<string>;
  /** Returns null for a token that was not sealed under a line of this keyring. */
  open(token: string): Promise<string | null>;
}

export interface KeyPairGenerator {
  generate(bits: number): Promise<{ publicKey: string; pkcs8: Uint8Array; thumbprint: string }>;
}
