import type { JwtctlError } from '../../domain/shared/errors.js';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export type Tone = 'good' | 'warn' | 'bad' | 'faint';
export type Text = string | { text: string; tone: Tone };
export type Cell = Text | Graph;

/** Drawn in the remaining width of the terminal. */
export type Graph =
  /** A length from 0 to 1. */
  | { bar: number }
  /** One character per value, the latest at the right; null for an unknown value. */
  | { sparkline: ReadonlyArray<number | null> }
  | Spans
  /** The labels of a time axis; NumericDate seconds. */
  | { dates: { from: number; to: number } }
  /** Points to a place on an axis, from 0 to 1. */
  | { pointer: { at: number; text: string } };

/** A line of a time axis. Its places are from 0 to 1; a span may begin before 0, and has no end if `until` is null. */
export interface Spans {
  spans: ReadonlyArray<{ from: number; until: number | null; character: string; tone?: Tone | undefined }>;
  now: number;
  /** Drawn where the last span ends. */
  end?: Text | undefined;
}

export type Column =
  | string
  | {
      name: string;
      align?: 'right';
      /** Whether a value may be shortened in the middle, as an ID may. */
      mayShorten?: boolean;
      /** The width up to which it grows, in characters. Default: as wide as its text */
      most?: number | undefined;
      /** On a narrow terminal, the columns with the lowest number are left out first. Default: left out last */
      importance?: number | undefined;
    };

/** The output of a command, for all formats. A view names each field, so that no new one leaks a secret. */
export type View =
  | { shape: 'record'; data: JsonObject; id: Ids; fields: ReadonlyArray<readonly [string, Text]> }
  | {
      shape: 'list';
      items: AsyncIterable<ListItem> | Iterable<ListItem>;
      columns: readonly Column[];
      empty: string;
      /** Drawn on a terminal instead of the table. */
      picture?: readonly Section[];
    }
  /** A long list, printed as NDJSON even without `-o ndjson`. */
  | { shape: 'stream'; portions: AsyncIterable<readonly StreamItem[]> }
  | { shape: 'report'; data: JsonObject; id: Ids; sections: readonly Section[] }
  /** A report that is redrawn in place; in NDJSON, one line for each frame. */
  | { shape: 'live'; frames: AsyncIterable<{ data: JsonObject; sections: readonly Section[] }> }
  /** Plain text for a file or a pipe; in JSON, `data`. */
  | { shape: 'text'; text: string; data: Json };

export type ListView = Extract<View, { shape: 'list' }>;

/** The lines that `--quiet` prints. */
export type Ids = string | readonly string[];

export interface ListItem {
  data: JsonObject;
  id: Ids;
  row: readonly Cell[];
}

export interface StreamItem {
  data: JsonObject;
  id: string;
}

/** A table under its title. Without columns, only the title; without rows, omitted unless it is the first. */
export interface Section {
  title: Text;
  lines?: readonly Text[];
  columns: readonly Column[];
  rows: ReadonlyArray<readonly Cell[]>;
}

export interface Outcome extends Completion {
  view?: View;
  /** Called after the view is written, for actions that work while it is written. May throw. */
  completion?: () => Promise<Completion>;
}

export interface Completion {
  exitCode?: number;
  /** Printed on stderr, except with `--quiet`: further results, and what to do next. */
  notes?: readonly string[];
  /** Always printed on stderr: anything that was not done or not read. */
  warnings?: readonly string[];
  /** Whether an interruption is the normal end, which keeps the exit code. */
  endsByInterruption?: true;
  /** The error that stopped the action, reported like a thrown error, but after the results. */
  error?: JwtctlError;
}
