const FAMILY = '👨‍👩‍👧‍👦';
/** Subjects that are special to a shell, a glob, a hash tag, SQL, a URL, a path, or JavaScript. */
export const HOSTILE_SUBJECTS = [
  ...['*', '[a-z]', '?', '\\', '{}', '{', '}', 'a}b{c', 'a:b', 'a:b}', ':labels', '../../x', '/etc/passwd'],
  ...['o\'brien"; --', "' OR 1=1 --", '$(id)', '`id`', '%', '_', '%61lice', '%2A', '%', 'a%', FAMILY],
  ...['alice', 'alice ', ' alice', 'Alice', 'ALICE', 'alicé', 'alice\u0301', 'ａlice', 'ß', 'ss', 'İ', 'i'],
  ...[
    '-x',
    '-',
    '--all',
    '--',
    '@alice',
    '@',
    '007',
    '7',
    '0',
    '1e3',
    'null',
    'true',
    'undefined',
    '!s',
    '!v',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'prototype',
    'x'.repeat(255),
    'é'.repeat(127),
  ],
].filter((sub, index, all) => all.indexOf(sub) === index);
