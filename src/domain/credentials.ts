/** PEM contents. */
export interface TlsMaterial {
  /** Trusted instead of the system's CAs. */
  readonly ca?: string;
  /** Shown to the server, with its private key. */
  readonly cert?: string;
  readonly key?: string;
}

/** What a connection to a store logs in with. */
export interface Credentials {
  readonly password?: string | undefined;
  /** Present at all, even without a member: TLS, with the server's certificate checked. */
  readonly tls?: TlsMaterial | undefined;
}

/** Reads them anew: the files behind them may have been replaced. */
export type ReadCredentials = () => Promise<Credentials>;

/**
 * Opens a connection with the credentials of this moment. After a refusal they are read once more, because they may just
 * be being rotated; the same ones are not tried twice, because servers lock accounts after so many failures.
 */
export async function dialWith<Connection>(
  read: ReadCredentials,
  dial: (credentials: Credentials) => Promise<Connection>,
  isRefusal: (error: unknown) => boolean,
): Promise<Connection> {
  const credentials = await read();
  try {
    return await dial(credentials);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const fresh = await read();
    if (JSON.stringify(fresh) === JSON.stringify(credentials)) throw error;
    return dial(fresh);
  }
}
