/** A name with its colon, a string, or a bracket. */
const PARTS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[{}[\]]/g;

/**
 * Returns the first name that an object in this valid JSON text has twice; null if there is none. Parsers differ in which
 * value they keep (RFC 8259 §4).
 */
export function duplicateMember(json: string): string | null {
  const names: Array<Set<string>> = [];
  for (const [part, colon] of json.matchAll(PARTS)) {
    if (part === '{' || part === '[') names.push(new Set());
    else if (part === '}' || part === ']') names.pop();
    else if (colon !== undefined) {
      const name: string = JSON.parse(part.slice(0, -colon.length));
      if (names.at(-1)?.has(name)) return name;
      names.at(-1)?.add(name);
    }
  }
  return null;
}
