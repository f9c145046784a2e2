/** A binary format that people pass by mistake. */
export type FileFormat = 'ZIP' | 'gzip' | 'PDF' | 'SQLite' | 'JKS' | 'JCEKS';

const FIRST_BYTES: ReadonlyArray<readonly [begin: string, format: FileFormat]> = [
  ['504b0304', 'ZIP'],
  ['1f8b', 'gzip'],
  [hex('%PDF-'), 'PDF'],
  [hex('SQLite format 3'), 'SQLite'],
  ['feedfeed', 'JKS'],
  ['cececece', 'JCEKS'],
];

export const FORMAT_NAMES: Readonly<Record<FileFormat, string>> = {
  ZIP: 'a ZIP archive',
  gzip: 'a file compressed with gzip',
  PDF: 'a PDF',
  SQLite: 'an SQLite database',
  JKS: 'a Java keystore (JKS)',
  JCEKS: 'a Java keystore (JCEKS)',
};

/** Decides by the first bytes. Returns null for text, and for other formats. */
export function fileFormat(bytes: Uint8Array): FileFormat | null {
  const begin = Buffer.from(bytes.subarray(0, 16)).toString('hex');
  return FIRST_BYTES.find(([first]) => begin.startsWith(first))?.[1] ?? null;
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}
