import type { Column } from './view.js';

// On a narrow terminal, columns with the lowest `importance` are left out first.

export function plainColumn(name: string, importance: number): Column {
  return { name, importance };
}

/** A column of text that may be shortened in the middle, such as an ID. */
export function shortenedColumn(name: string, importance?: number): Column {
  return { name, mayShorten: true, importance };
}

export function numberColumn(name: string, importance?: number): Column {
  return { name, align: 'right', importance };
}
