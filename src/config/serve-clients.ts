import { typeName } from '../domain/shared/describe-value.js';
import { nearest } from '../domain/shared/nearest.js';
import { parseStructure, StructureProblem } from './structure-problem.js';

/** What a client of the HTTP API may be allowed to do. */
export const RIGHTS = ['introspect', 'issue', 'refresh', 'revoke', 'read', 'users'] as const;
export type Right = (typeof RIGHTS)[number];

/** One of `secretFile` and `secretSha256` is set. */
export interface ClientSetting {
  readonly id: string;
  /** Absolute. */
  readonly secretFile: string | null;
  /** 64 hexadecimal digits, in lower case. */
  readonly secretSha256: string | null;
  readonly may: readonly Right[];
  /** Null: all audiences. */
  readonly audiences: readonly string[] | null;
}

export interface ClientInput {
  readonly id: string;
  readonly secretFile?: string | undefined;
  readonly secretSha256?: string | undefined;
  readonly may: readonly Right[];
  readonly audiences?: readonly string[] | undefined;
}

const EXAMPLE = 'a list such as [{"id":"app","secretFile":"…","may":["issue"]}]';
const MEMBERS = ['id', 'secretFile', 'secretSha256', 'may', 'audiences'] as const;

/**
 * @param raw a list, or JSON text of one
 * @throws StructureProblem naming the client and the member
 */
export function readClients(
  raw: unknown,
  absolute: (path: string) => string | null,
): readonly ClientSetting[] {
  const list = typeof raw === 'string' ? parseStructure(raw, EXAMPLE) : raw;
  if (!Array.isArray(list)) throw new StructureProblem(`is ${typeName(list)}; expected a list of clients`);
  const clients = list.map((item, index) => readClient(item, `[${index}]`, absolute));
  for (const [index, { id }] of clients.entries()) {
    const first = clients.findIndex((other) => other.id === id);
    if (first < index) throw new StructureProblem(`[${index}] has the id of [${first}]; expected another id`);
  }
  return clients;
}

function readClient(item: unknown, place: string, absolute: (path: string) => string | null): ClientSetting {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    throw new StructureProblem(`${place} is ${typeName(item)}; expected a map with ${MEMBERS.join(', ')}`);
  }
  const client = item as Record<string, unknown>;
  for (const member of Object.keys(client)) assertMember(member, place);
  const wrong = (member: string, expected: string) =>
    new StructureProblem(
      client[member] === undefined || client[member] === null
        ? `${place} has no ${member}; expected ${expected}`
        : `${place}.${member} cannot have this value; expected ${expected}`,
    );

  const { id, secretFile = null, secretSha256 = null, may, audiences } = client;
  if (typeof id !== 'string' || !/^[^\p{Cc}:]{1,128}$/u.test(id))
    throw wrong('id', '1 to 128 characters without colons or control characters');
  if (secretFile === null && secretSha256 === null)
    throw new StructureProblem(`${place} has neither secretFile nor secretSha256; expected one of them`);
  if (secretFile !== null && secretSha256 !== null)
    throw new StructureProblem(`${place} has both secretFile and secretSha256; expected one of them`);
  const file = typeof secretFile === 'string' && /^[^\0]+$/.test(secretFile) ? absolute(secretFile) : null;
  if (secretFile !== null && file === null) throw wrong('secretFile', 'the path of a file');
  if (secretSha256 !== null && (typeof secretSha256 !== 'string' || !/^[\da-f]{64}$/i.test(secretSha256)))
    throw wrong('secretSha256', '64 hexadecimal digits');
  if (!isTextList(may) || may.length === 0 || !may.every(isRight))
    throw wrong('may', `a list of ${RIGHTS.join(', ')}`);
  // YAML reads a member whose list is commented out as null.
  const isAudienceList = isTextList(audiences) && audiences.length > 0 && !audiences.includes('');
  if (audiences !== undefined && !isAudienceList)
    throw wrong('audiences', 'a list of strings that are not empty');
  return {
    id,
    secretFile: file,
    secretSha256: (secretSha256 as string | null)?.toLowerCase() ?? null,
    may: RIGHTS.filter((right) => may.includes(right)),
    audiences: (audiences as string[] | undefined) ?? null,
  };
}

function assertMember(member: string, place: string): void {
  if ((MEMBERS as readonly string[]).includes(member)) return;
  const meant = nearest(member, MEMBERS) ?? (/secret|password/i.test(member) ? 'secretFile' : null);
  const hint = meant === null ? `expected ${MEMBERS.join(', ')}` : `did you mean ${meant}?`;
  // Without the space, `{id:app}` is one key, which may include a secret.
  const shown = member.replace(/[^\w.-].*$/s, '…').slice(0, 40);
  throw new StructureProblem(`${place} has the unknown member ${shown}; ${hint}`);
}

/** For output: the digest is masked, because a weak secret can be guessed from it. */
export function shownClient({ id, secretFile, secretSha256, may, audiences }: ClientSetting, mask: string) {
  return {
    id,
    ...(secretFile === null ? {} : { secretFile }),
    ...(secretSha256 === null ? {} : { secretSha256: mask }),
    may,
    ...(audiences === null ? {} : { audiences }),
  };
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isRight(value: string): value is Right {
  return (RIGHTS as readonly string[]).includes(value);
}
