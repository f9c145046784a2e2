import { dirname } from 'node:path';
import { JwtctlError } from '../domain/errors.js';
import { type ConfigDocument, parseDocument } from './document.js';
import { type FileText, judgeSafety } from './files.js';
import { type Assignment, invalid, isMap, isSensitive, type Layer, treeLayer } from './layers.js';
import type { Origin } from './origin.js';
import type { Places } from './places.js';

/** What a file says: outside its profiles, and in each of them. All of it is checked, whichever profile is chosen. */
export interface FileLayers {
  readonly base: Layer;
  readonly profiles: ReadonlyMap<string, Layer>;
  /** About the file as a whole. */
  readonly problems: JwtctlError[];
  readonly warnings: string[];
}

const PROFILE_NAME = /^[\w.-]{1,64}$/;

/** @param ownUid who runs jwtctl; null where files have no such owners (Windows) */
export async function fileLayers(file: FileText, places: Places, ownUid: number | null): Promise<FileLayers> {
  const document = await parseDocument(file.path, file.text);
  if (document instanceof JwtctlError) {
    return {
      base: { assignments: [], problems: [] },
      profiles: new Map(),
      problems: [document],
      warnings: [],
    };
  }
  const where = { directory: dirname(file.path), places };
  const base = treeLayer(document.root, originIn(file, document, null), where, ['profiles']);
  const profiles = new Map<string, Layer>();
  const problems: JwtctlError[] = [];
  const declared = isMap(document.root) ? (document.root.profiles ?? {}) : {};
  const names = isMap(declared) ? Object.keys(declared) : [];
  if (!isMap(declared) || !names.every((name) => PROFILE_NAME.test(name))) {
    const origin = originIn(file, document, null)(['profiles']);
    problems.push(invalid('profiles', origin, 'a map of names (1 to 64 of A-Z a-z 0-9 . _ -) to settings'));
  } else {
    for (const name of names) {
      profiles.set(name, treeLayer(declared[name], originIn(file, document, name), where));
    }
  }

  const sensitive = [base, ...profiles.values()].flatMap((layer) => layer.assignments.filter(isSensitive));
  const safety = judgeSensitive(file, sensitive, places, ownUid);
  return { base, profiles, problems: [...problems, ...safety.problems], warnings: safety.warnings };
}

function originIn(file: FileText, document: ConfigDocument, profile: string | null) {
  const above = profile === null ? [] : ['profiles', profile];
  return (keys: readonly string[]): Origin => ({
    source: 'file',
    name: file.path,
    line: document.lineOf([...above, ...keys]),
    profile,
  });
}

/** Whether this file may hold the secrets and commands that it holds. */
function judgeSensitive(
  file: FileText,
  sensitive: readonly Assignment[],
  places: Places,
  ownUid: number | null,
): { problems: JwtctlError[]; warnings: string[] } {
  const [first] = sensitive;
  if (first === undefined) return { problems: [], warnings: [] };
  if (file.kind === 'project') {
    return { problems: sensitive.map((assignment) => inProjectFile(assignment, places)), warnings: [] };
  }
  const repair = `chmod 600 ${file.path}`;
  const holds = `${file.path} holds ${first.setting.path}`;
  const unsafe = (why: string, hint: string) => ({
    problems: [
      new JwtctlError('usage', 'ERR_CONFIG_FILE_UNSAFE', `${holds}, and ${why}.`, {
        hint,
        details: { file: file.path, setting: first.setting.path },
      }),
    ],
    warnings: [],
  });
  switch (judgeSafety(file, ownUid)) {
    case 'others_own':
      return unsafe(
        'it belongs to another user, who could change it',
        `Run \`chown ${ownUid} ${file.path}\`.`,
      );
    case 'others_write':
      return unsafe('others may write it', `Look what it holds, then run \`${repair}\`.`);
    case 'others_read':
      return { problems: [], warnings: [`${holds}, and others may read it; run \`${repair}\`.`] };
    case 'safe':
      return { problems: [], warnings: [] };
  }
}

/** Whoever can write into a directory could otherwise run commands as, or answer for, whoever works in it. */
function inProjectFile({ setting, origin }: Assignment, places: Places): JwtctlError {
  const what = setting.class === 'command' ? 'commands or SQL' : 'secrets';
  const withPassword = setting.class === 'plain' ? ' with a password' : '';
  const place = origin.line === null ? origin.name : `${origin.name}:${origin.line}`;
  return new JwtctlError(
    'usage',
    'ERR_CONFIG_SECRET_IN_PROJECT_FILE',
    `${place}: ${setting.path}${withPassword} cannot be set by a project file, which holds no ${what}.`,
    {
      hint: `Set it in ${places.userFile} (mode 0600) or with the variable ${setting.variable}.`,
      details: { setting: setting.path, file: origin.name, line: origin.line },
    },
  );
}
