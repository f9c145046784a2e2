export interface TlsMaterial {
  /** CAs to trust instead of the system's. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Credentials {
  readonly password?: string | undefined;
  /** If present, even if empty, the connection uses TLS and checks the server's certificate. */
  readonly tls?: TlsMaterial | undefined;
}

/** Reads the files again on each call, because they may have been replaced. */
export type ReadCredentials = () => Promise<Credentials>;

/**
 * Opens a connection. After a refusal, reads the credentials once more: a rotation may be in progress. Never
 * tries the same ones twice, because servers lock accounts after repeated failures.
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
