export function parseInfo(reply: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  if (typeof reply !== 'string') return fields;
  for (const line of reply.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return fields;
}

export function numberIn(fields: Map<string, string> | undefined, name: string): number | null {
  const value = fields?.get(name);
  return value === undefined ? null : Number(value);
}
