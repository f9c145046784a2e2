import type { Setting } from '../../../config/settings.js';
import { shortenedColumn } from '../columns.js';
import { EXIT_CODE_MEANINGS } from '../exit-code-meanings.js';
import type { JsonObject, Section, Text, View } from '../view.js';

export const TOPICS: ReadonlyMap<string, (settings: readonly Setting[]) => View> = new Map([
  ['exit-codes', exitCodes],
  ['environment', environment],
  ['configuration', configuration],
  ['security', security],
]);

function exitCodes(): View {
  return {
    shape: 'record',
    id: EXIT_CODE_MEANINGS.map(([code]) => String(code)),
    data: {
      topic: 'exit-codes',
      exitCodes: EXIT_CODE_MEANINGS.map(([code, kinds, meaning]) => ({ code, kinds, meaning })),
    },
    fields: EXIT_CODE_MEANINGS.map(([code, kinds, meaning]) => [
      String(code),
      kinds === '' ? meaning : `${meaning} (kind of error: ${kinds})`,
    ]),
  };
}

const OTHER_VARIABLES: ReadonlyArray<readonly [string, string]> = [
  ['JWTCTL_CONFIG', 'read only this configuration file, like --config'],
  ['JWTCTL_PROFILE', 'use this profile from the configuration files, like --profile'],
  ['FORCE_COLOR', 'colors even in a pipe; 0 or false turns them off'],
  ['NO_COLOR', 'no colors'],
  ['CLICOLOR_FORCE', 'colors even in a pipe, unless NO_COLOR is set'],
  ['TERM', 'dumb: no colors, no progress'],
  ['XDG_CONFIG_HOME', 'where the user file is: $XDG_CONFIG_HOME/jwtctl/config.yaml'],
  ['XDG_DATA_HOME', 'where the embedded store is by default'],
];

function environment(settings: readonly Setting[]): View {
  const variables = [
    ...OTHER_VARIABLES,
    ...settings.map(({ variable, path }) => [variable, `sets ${path}`] as const),
  ];
  return topic(
    'environment',
    [
      {
        title: 'Environment variables',
        columns: ['variable', shortenedColumn('meaning')],
        rows: variables.map(([name, meaning]) => [name, meaning]),
      },
      note(
        'An unknown JWTCTL_ variable is an error. `jwtctl config show` shows where each value comes from.',
      ),
    ],
    { variables: variables.map(([variable, meaning]) => ({ variable, meaning })) },
  );
}

const PLACES = [
  'a flag, such as --token-max-ttl',
  'a variable, such as JWTCTL_TOKEN_MAX_TTL',
  'the project file, jwtctl.yaml or jwtctl.json, from the working directory up to the repository or the home folder',
  'the user file, $XDG_CONFIG_HOME/jwtctl/config.yaml',
  'the system file, /etc/jwtctl/config.yaml',
  'the default',
];

function configuration(): View {
  return topic(
    'configuration',
    [
      text('Configuration', [
        'A setting comes from the first of these places that has it:',
        ...PLACES.map((place, index) => `${index + 1}. ${place}`),
      ]),
      note(
        '--config FILE reads that file and no other. --profile NAME selects a profile. `jwtctl config show` prints every setting with its value and source, and `jwtctl config validate --connect` checks them.',
      ),
    ],
    { places: PLACES },
  );
}

const SECURITY = [
  'A token is accepted only if its signature, its claims, its entry in the registry, and its user are all valid. If a store cannot be reached, the exit code is 4, and the token is not accepted.',
  'Private keys are encrypted under the master keyring (masterKey.file). Keep a copy of it, and give it only to hosts that issue tokens or rotate keys.',
  'Put no secret on the command line: use - for standard input, @file, or a setting such as mysql.passwordFile. Secrets are masked in all output.',
  'If a key leaks, run `jwtctl keys compromise KID --reason TEXT`. If a token leaks, run `jwtctl token revoke`. Both are recorded in MySQL first, so a failover of Redis does not undo them.',
  'To report a vulnerability, see SECURITY.md in the repository of jwtctl.',
];

function security(): View {
  return topic('security', [text('Security', SECURITY)], { rules: SECURITY });
}

function topic(name: string, sections: Section[], data: JsonObject): View {
  return { shape: 'report', id: name, data: { topic: name, ...data }, sections };
}

function text(title: Text, lines: readonly string[]): Section {
  return { title, lines, columns: [], rows: [] };
}

function note(title: string): Section {
  return { title: { text: title, tone: 'faint' }, columns: [], rows: [] };
}
