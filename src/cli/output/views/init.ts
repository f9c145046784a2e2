import type { View } from '../view.js';

export function statementList(statements: readonly string[]): View {
  return { shape: 'text', text: `${statements.join('\n')}\n`, data: { statements: [...statements] } };
}
