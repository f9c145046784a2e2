/** V8 keeps the whole source string, such as a 64 KB reply, as long as a substring of it is in use. */
export function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}
