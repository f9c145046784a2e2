import { state, usage } from './entry.js';

export const FILES_ERRORS = {
  ERR_BACKUP_INVALID: usage(
    'The file is not a backup of the registry, or it is damaged.',
    'Name a file that `jwtctl cache snapshot` or `jwtctl cache flush` wrote.',
  ),
  ERR_BACKUP_VERSION_UNSUPPORTED: usage(
    'Another version of jwtctl wrote the backup, in a format that this version cannot read.',
    'Use the version of jwtctl that wrote the backup, or a newer one.',
  ),
  ERR_CSV_HEADER_INVALID: usage(
    'The first line of the CSV does not name the expected columns.',
    'Start the file with the column names that the message lists, separated by commas.',
  ),
  ERR_FILE_EXISTS: usage(
    'The output file already exists, and jwtctl does not overwrite it.',
    'Choose another name, or move the existing file away.',
  ),
  ERR_FILE_KIND_UNKNOWN: usage(
    'The file is not a list that the command can read, so no line of it was processed.',
    "Pass a file with one item per line, a CSV with a header, or NDJSON (`jq -c '.[]'` converts an array).",
  ),
  ERR_FILE_NAME_INVALID: usage(
    'The path of the file is too long or contains a line break, so it cannot be recorded in the audit log.',
    'Choose a shorter path on one line.',
  ),
  ERR_FILE_REPLACED: state(
    'Another program replaces the file that jwtctl publishes.',
    'Find the other program, such as a second installation with the same path, and give each a file of its own.',
  ),
  ERR_FILE_TOO_LARGE: usage(
    'The input is larger than the limit for this kind of input.',
    'Check that you named the right file.',
  ),
  ERR_FILE_UNREADABLE: usage(
    'The input file cannot be read.',
    'Check the path, and give the account that runs jwtctl read access to the file.',
  ),
  ERR_FILE_UNWRITABLE: usage(
    'The output file cannot be created or written.',
    'Choose a folder that this account can write to, and check that the disk has room.',
  ),
  ERR_LINE_NOT_JSON: usage(
    'A line of the input is not a JSON object.',
    'Write one JSON object per line (NDJSON).',
  ),
  ERR_LINE_NOT_UTF8: usage('A line of the input is not well-formed UTF-8.', 'Save the file as UTF-8.'),
  ERR_LINE_NO_TOKEN: usage(
    'A line of the input is neither a token nor a JSON object with a `token` member.',
    'Write one token per line, or pass the NDJSON output of `jwtctl token issue`.',
  ),
  ERR_LINE_TOO_LONG: usage(
    'A line of the input is longer than the limit.',
    'Check that the file has one item per line.',
  ),
  ERR_NUMBER_INEXACT: usage(
    'A number cannot be written in JSON, or is too large or too precise for programs that read JSON. They would silently change it.',
    'Write the number as a quoted string, so that applications read the same digits.',
  ),
  ERR_ROW_INVALID: usage(
    'A row of the input has a missing or invalid field, or broken CSV quotes.',
    'Correct the row that the message names, and run the command again.',
  ),
  ERR_TEXT_INVALID: usage(
    'A text value, such as a name or a reason, is empty, too long, or contains control characters.',
    'Use one line of text within the limit that the message names.',
  ),
};
