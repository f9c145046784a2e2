/** The JWK Set as programs outside of jwtctl read it. */
export interface PublishedKeys {
  readonly url: string;
  /**
   * Fetches the set several times over new connections, because caches and servers behind one name may differ.
   * @returns the `keys` of each answer
   * @throws JwtctlError `ERR_PUBLISH_URL_UNREACHABLE` (unavailable)
   */
  fetchAll(): Promise<ReadonlyArray<readonly unknown[]>>;
}
