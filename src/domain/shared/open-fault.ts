/** How messages describe why a file cannot be opened. */
export function openFault(code: string): string {
  return code === 'EISDIR' ? 'is a folder' : `cannot be read (${code})`;
}
