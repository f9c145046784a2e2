/** What a file holds. `fault` completes "The file …". */
export type DecodedText =
  | { readonly text: string; readonly fault: null }
  | { readonly text: null; readonly fault: string };

/** Decodes UTF-8, and UTF-16 with a byte order mark, as PowerShell writes it. Drops the mark. */
export function decodeText(bytes: Uint8Array): DecodedText {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    if (!text.includes('\0')) return { text, fault: null };
    return { text: null, fault: 'is binary, or UTF-16 without a byte order mark; save it as UTF-8' };
  } catch {
    return { text: null, fault: 'is not UTF-8; save it as UTF-8' };
  }
}

/** How messages describe why a file cannot be opened. */
export function openFault(code: string): string {
  return code === 'EISDIR' ? 'is a folder' : `cannot be read (${code})`;
}
