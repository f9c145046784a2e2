/** What a line of another program has instead of a value, and how to get the values. */
export interface ForeignFormat {
  readonly what: string;
  readonly hint: string;
}

/** Returns null for a line that may be a value. */
export function foreignFormat(line: string): ForeignFormat | null {
  return firstOf(ALL_FORMATS, line);
}

/** Like {@link foreignFormat}, for a cell of a CSV. */
export function changedValue(cell: string): ForeignFormat | null {
  return firstOf(CELL_FORMATS, cell);
}

type Format = readonly [form: RegExp, what: string, hint: string];

function firstOf(formats: readonly Format[], text: string): ForeignFormat | null {
  const trimmed = text.trim();
  const found = formats.find(([form]) => form.test(trimmed));
  return found === undefined ? null : { what: found[1], hint: found[2] };
}

const TABLE = 'a table with borders';
const WITHOUT_BORDERS = "Write one value per line: `mysql -BN -e 'SELECT …'` or `psql -At -c 'SELECT …'`.";

/** The lines of a table that have no value: `+----+`, `---+---`, `(2 rows)`. */
const TABLE_RULE: Format = [
  /^(?:\+[-=+]+\+|-{4,}(?:\+-+)*|-+\+[-+]+|\(\d+ rows?\)|\d+ rows? in set\b.*|\*{8,} .*)$/,
  TABLE,
  WITHOUT_BORDERS,
];

const FORMATS: readonly Format[] = [
  TABLE_RULE,
  [/^\|.*\|$|\S +\| +\S/, TABLE, WITHOUT_BORDERS],
  [
    /^(?:--$|--\s|\/\*|(?:insert|replace) into\s|(?:create|drop|lock|alter) (?:table|database)s?\s|start transaction|begin(?: transaction)?;|(?:set|use|select)\s.*;$|copy\s.* from stdin|pragma\s|\(\s*(?:'|\d).*\)[,;]$)/i,
    'SQL',
    "Write the values themselves, one per line: `mysql -BN -e 'SELECT …'` or `sqlite3 -list FILE 'SELECT …'`.",
  ],
  [
    /^(?:# (?:extended )?LDIF\b|(?:dn|objectclass|version)::? ?\S)/i,
    'LDIF',
    "Write the values themselves, one per line: `sed -n 's/^uid: //p' FILE`.",
  ],
  [
    /^[^:\s]+:(?:[^:]*:\d*:\d*:[^:]*:[^:]*:[^:]*|[^:]*(?::\d*){7}|[x*!]?:\d+:[^:]*|\$\w+\$\S+|\{\w+\}\S+)$/,
    'an account with fields, as in /etc/passwd',
    'Write only the names, one per line: `cut -d: -f1 FILE`.',
  ],
  [/^(?:#|\/\/)/, 'a comment', 'Remove the comments.'],
  [/^(?:---$|[-*•]\s+\S|[\w-]+:\s+\S)/, 'YAML', 'Write the values themselves, one per line.'],
  [
    /^(["'`“])[^"'`“”]*["'`”],?;?$/,
    'a value in quotes',
    'Remove the quotes, or begin the file with the header of a CSV.',
  ],
  [/^[^,;]*[,;]$/, 'a value with a separator at its end', 'Remove the commas and semicolons at the ends.'],
];

const CHANGED_VALUES: readonly Format[] = [
  [
    /^\d+(?:[.,]\d+)?E\+\d+$|^\d+\.0+$|^'\d+$|^="?\d+"?$/i,
    'a number that a spreadsheet or a data frame changed',
    'Write the column as text in the program that made the file.',
  ],
  [/^(?:NULL|\(null\)|\\N)$/, 'the NULL of a database', 'Leave out the rows without a value.'],
];

const ALL_FORMATS = [...FORMATS, ...CHANGED_VALUES];
const CELL_FORMATS = [...CHANGED_VALUES, TABLE_RULE];
