import { AddressProblem } from './address-parts.js';

/** Throws for text that is not an address, whatever the store. */
export function assertAddress(group: 'mysql' | 'redis', text: string, form: string): void {
  if (!text.isWellFormed()) throw new AddressProblem('is not well-formed Unicode');
  if (/\p{Cc}/u.test(text)) throw new AddressProblem('contains a line break or a control character');
  if (/^\s|\s$/.test(text)) throw new AddressProblem('begins or ends with a space');
  if (/^(["'`]).*\1$/.test(text)) throw new AddressProblem('is in quotes; remove them');
  if (/^[A-Z][A-Z0-9_]*=/.test(text))
    throw new AddressProblem('begins with the name of a variable; remove the name and the equals sign');
  if (/^[[{]\s*"/.test(text)) throw new AddressProblem('is JSON; write it as a URL');
  const placeholder = PLACEHOLDERS.find(([form]) => form.test(text))?.[1];
  if (placeholder !== undefined)
    throw new AddressProblem(
      `contains a placeholder such as ${placeholder}; write its value, or set ${group}.passwordFile if it belongs to the password`,
    );
  if (/^(?:(?:jdbc|r2dbcs?):)?[\w+.-]+:\/\/[\w+.-]+:\/\//.test(text))
    throw new AddressProblem('has two schemes; remove the first one');
  if (COMMAND_LINE.test(text)) throw new AddressProblem(`is a command line; write ${form}`);
  if (text.includes('://') && FLAG.test(text.slice(text.lastIndexOf('@') + 1)))
    throw new AddressProblem(
      `has flags of a command line after the address; remove them, and write TLS as ${group === 'mysql' ? '?ssl-mode=REQUIRED' : 'rediss://'}`,
    );
  const [, scheme = ''] = /^(?:(?:jdbc|r2dbcs?):)?([\w+.-]+):\/\//i.exec(text) ?? [];
  if (/(?:^|[+-])ssh$/i.test(scheme))
    throw new AddressProblem(
      'goes through an SSH tunnel; open the tunnel, and write the address of its local end',
    );
  if (/^https?$/i.test(scheme))
    throw new AddressProblem(
      `is a web address, such as that of a REST API; use the endpoint for ${STORES[group]} clients`,
    );
  if (/^arn:/i.test(text))
    throw new AddressProblem('is an ARN, which names a resource of AWS; use the host name of its endpoint');
}

const STORES = { mysql: 'MySQL', redis: 'Redis' } as const;

const FLAG = /\s--?[a-z][\w-]*(?:[=\s]|$)/i;
const COMMAND_LINE =
  /^(?:-{1,2}[a-z][\w-]*(?:[=\s]|$)|(?:mysql|mariadb|mysqlsh|mysqladmin|mysqldump|redis-cli|valkey-cli|docker|kubectl)\s)/i;

/** Placeholders that a real password is very unlikely to contain. */
const PLACEHOLDERS: ReadonlyArray<readonly [form: RegExp, shown: string]> = [
  [/\{\{.*?\}\}/s, '{{ … }}'],
  [/\$\{\w+[^}]*\}|\$\(\w+\)/, '$(…)'],
  [/%\([\w.]+\)s/, '%(…)s'],
  [/<[\w .-]+>/, '<…>'],
  [/^(?:\$\w+|%\w+%)$/, '$…'],
  [/\[[A-Za-z]*[A-Z][A-Z_ -]{2,}\]/, '[…]'],
  [/[:/=@](?:\$[A-Z_]{3,}|%[A-Z_]{3,}%)(?=[:/@;&?]|$)/, '$…'],
  [/[:=](?:CHANGE[-_]?ME|CHANGE[-_]?IT|YOUR[-_]?\w*PASS\w*|REPLACE[-_]?\w*|\*{4,})(?=[@;&]|$)/, 'CHANGEME'],
];
