/** What a file holds. `fault` completes "The file …". */
export type DecodedText =
  | { readonly text: string; readonly fault: null }
  | { readonly text: null; readonly fault: string };

/** Decodes UTF-8, and UTF-16 as PowerShell and Excel write it. Drops a byte order mark. */
export function decodeText(bytes: Uint8Array): DecodedText {
  try {
    const text = new TextDecoder(utf16Of(bytes) ?? 'utf-8', { fatal: true }).decode(bytes);
    return text.includes('\0') ? { text: null, fault: 'is binary' } : { text, fault: null };
  } catch {
    return { text: null, fault: 'is not UTF-8; save it as UTF-8' };
  }
}

/** Replaces what is not well-formed, because the text around a token or a PEM block may have any encoding. */
export function decodeAnyText(bytes: Uint8Array): string {
  return new TextDecoder(utf16Of(bytes) ?? 'utf-8').decode(bytes);
}

/** By the byte order mark, or because one of the first two bytes is zero, as for ASCII text. */
export function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | null {
  if (first === undefined || second === undefined) return null;
  if ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0)) return 'utf-16le';
  if ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0)) return 'utf-16be';
  return null;
}
