/** Returns the path of the Unix socket in `mysql://…?socket=path`; null for a connection over TCP. */
export function socketPath(url: URL | string): string | null {
  return new URL(url).searchParams.get('socket');
}
